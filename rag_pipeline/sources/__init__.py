"""What exists: connectors that list a source completely, or say that they did not, and fetch one document's bytes.

The framework, not the connector, hashes, compares, guards and prunes. A connector implements `Source`;
`open_source` makes the one that the settings ask for.
"""

from pathlib import Path

from rag_pipeline.settings import FilesSettings, GitSettings
from rag_pipeline.sources.files import FilesSource
from rag_pipeline.sources.git import GitSource
from rag_pipeline.sources.media_types import media_type
from rag_pipeline.sources.source import MAX_DOCUMENT_BYTES, Source

__all__ = ["MAX_DOCUMENT_BYTES", "FilesSource", "GitSource", "Source", "media_type", "open_source"]


def open_source(
    settings: FilesSettings | GitSettings, folder: Path, cache: Path, workspace: Path | None = None
) -> FilesSource | GitSource:
    """Return the connector for one ``[[sources]]`` entry; nothing is read or contacted yet.

    `folder` is where rag.toml lies: relative paths start there. `cache` is a folder that belongs to
    this source alone and may be deleted at any time between runs (the git mirror lives there).
    `workspace` is the pipeline's own folder, which is never indexed even where a source encloses it.
    Raises `ConfigurationError` for a glob, a url or a ref that can never work.
    """
    if isinstance(settings, FilesSettings):
        return FilesSource(settings, folder, workspace)
    return GitSource(settings, folder, cache)
