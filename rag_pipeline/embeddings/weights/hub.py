"""Models that fastembed knows by name, from the Hugging Face hub or from its cache on this machine.

Only the files that fastembed would load are fetched. What was fetched once is found again without any network,
in the hub's own cache (``HF_HOME``).
"""

from dataclasses import dataclass
from pathlib import Path

from rag_pipeline.embeddings.weights import Weights
from rag_pipeline.embeddings.weights.folder import digest
from rag_pipeline.errors import ConfigurationError

OWN = "rag-pipeline/"
"""How names begin under which this project registers files with fastembed."""

_BESIDE = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of fastembed's table: a model's name, its repository on the hub, and the files that hold its weights."""

    name: str
    repository: str
    dimensions: int
    model_file: str
    other_files: tuple[str, ...]


def _table() -> dict[str, Entry]:
    from fastembed import TextEmbedding

    entries = [
        Entry(each["model"], each["sources"]["hf"], each["dim"], each["model_file"], tuple(each["additional_files"]))
        for each in TextEmbedding.list_supported_models()
        if each["sources"]["hf"] and not each["model"].startswith(OWN)
    ]
    return {entry.name.lower(): entry for entry in entries}


def names() -> list[str]:
    """Return the names of all models that fastembed knows."""
    return [entry.name for entry in _table().values()]


def known(name: str) -> Entry | None:
    """Return fastembed's entry of a model, in whatever case its name is written."""
    return _table().get(name.lower())


def download(entry: Entry) -> Weights:
    """Fetch a model unless it is in the cache. Raises `ConfigurationError` where neither can be done."""
    from huggingface_hub import snapshot_download

    files = (*_BESIDE, entry.model_file, *entry.other_files)
    folder = _cached(entry.repository, files)
    if folder is None:
        try:
            folder = Path(snapshot_download(entry.repository, allow_patterns=list(files)))
        except Exception as error:  # whatever the hub, its client or the network raise
            raise ConfigurationError(
                f"embedding.model: {entry.name} is not on this machine and cannot be fetched from the hub "
                f"({_first_line(error)}); try again with a network, or give the folder of its files as embedding.path"
            ) from error
    present = [folder / name for name in files if (folder / name).is_file()]
    return Weights(
        digest=digest(folder, present),
        dimensions=entry.dimensions,
        pooling=None,
        model_file=entry.model_file,
        folder=lambda: folder,
    )


def _cached(repository: str, files: tuple[str, ...]) -> Path | None:
    """Return the model's folder in the cache, if its weights are there: an interrupted download left a part."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(repository, allow_patterns=list(files), local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    needed = set(files) - {"config.json", "special_tokens_map.json"}
    return folder if all((folder / name).is_file() for name in needed) else None


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
