"""A model in a folder of the user's: an ONNX file with its tokenizer, laid out as the hub lays models out.

What the files say is believed: how token vectors become one (``1_Pooling/config.json``) and how long it is
(there, or ``config.json``). What they do not say, settings must.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rag_pipeline.embeddings.packaged import sha256
from rag_pipeline.embeddings.weights import Weights
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.settings import Pooling

_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
_UNREAD = {".md", ".onnx", ".safetensors", ".h5", ".msgpack", ".ot", ".png"}
"""Endings of files that no loaded ONNX file refers to: other formats of the same weights, and words about them."""


def read_folder(folder: Path, pooling: Pooling | None, dimensions: int | None) -> Weights:
    """Read what a folder says of its model; a given `pooling` wins over it, and so do `dimensions`.

    Raises `ConfigurationError` that says what is missing.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"embedding.path: {folder} is no folder; name the one that holds the model")
    for name in _TOKENIZER:
        if not (folder / name).is_file():
            raise ConfigurationError(f"embedding.path: {folder} has no {name}; export the model with its tokenizer")
    model = _onnx_file(folder)
    said = _json(folder / "1_Pooling" / "config.json")
    pooling = pooling or _pooling(said)
    if pooling is None:
        raise ConfigurationError(
            f"embedding.pooling: {folder} does not say how its model makes one vector of many (1_Pooling/config.json); "
            "say it: cls, mean, last, or none where the ONNX file gives one vector a text"
        )
    config = _json(folder / "config.json")
    sizes = (dimensions, said.get("word_embedding_dimension"), config.get("hidden_size"), config.get("dim"))
    size = next((size for size in sizes if isinstance(size, int)), None)
    if size is None:
        raise ConfigurationError(f"embedding.dimensions: {folder} does not say how long its vectors are; say it")
    files = {file for part in {folder, model.parent} for file in part.iterdir() if _decides(file)}
    return Weights(
        digest=digest(folder, {model, *files}, pooling),
        dimensions=size,
        pooling=pooling,
        model_file=model.relative_to(folder).as_posix(),
        folder=lambda: folder,
    )


def digest(folder: Path, files: Iterable[Path], pooling: str = "") -> str:
    """Return eight hexadecimal digits of names and contents of files, and of how their vectors are pooled."""
    contents = {file.relative_to(folder).as_posix(): sha256(file) for file in files}
    return hashlib.sha256(json.dumps([contents, pooling], sort_keys=True).encode()).hexdigest()[:8]


def _onnx_file(folder: Path) -> Path:
    """Return ``model.onnx``, or the only other ONNX file."""
    for usual in (folder / "model.onnx", folder / "onnx" / "model.onnx"):
        if usual.is_file():
            return usual
    files = sorted(folder.rglob("*.onnx"))
    if len(files) == 1:
        return files[0]
    found = ", ".join(file.relative_to(folder).as_posix() for file in files) or "no ONNX file"
    raise ConfigurationError(f"embedding.path: {folder} must hold model.onnx or one other ONNX file; it has {found}")


def _decides(file: Path) -> bool:
    """Whether a file may decide vectors. What is not known counts, as weights outside of an ONNX file do."""
    return file.is_file() and not file.name.startswith(".") and file.suffix not in _UNREAD


def _pooling(said: dict[str, Any]) -> Pooling | None:
    """Read both ways in which sentence-transformers writes it down: a flag each, or one name."""
    flags: dict[str, Pooling] = {
        "pooling_mode_cls_token": "cls",
        "pooling_mode_mean_tokens": "mean",
        "pooling_mode_lasttoken": "last",
    }
    names: dict[str, Pooling] = {"cls": "cls", "mean": "mean", "lasttoken": "last"}
    chosen = [flag for flag, value in said.items() if flag.startswith("pooling_mode_") and value is True]
    if len(chosen) == 1:
        return flags.get(chosen[0])
    return names.get(str(said.get("pooling_mode")))


def _json(file: Path) -> dict[str, Any]:
    """Return the object in a file; an empty one where there is no such file."""
    try:
        found = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ConfigurationError(f"embedding.path: {file} cannot be read: {error}") from error
    return found if isinstance(found, dict) else {}
