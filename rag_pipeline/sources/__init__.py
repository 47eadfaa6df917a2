"""What exists: connectors that list a source completely, or say that they did not, and fetch one document's bytes.

The framework, not the connector, hashes, compares, guards and prunes. A connector implements `Source`;
`open_source` makes the one that the settings ask for.
"""

from pathlib import Path

from rag_pipeline import settings as kinds
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.plugins import SOURCES, plugin
from rag_pipeline.settings import SourceSettings
from rag_pipeline.sources.media_types import media_type
from rag_pipeline.sources.source import MAX_DOCUMENT_BYTES, Source

__all__ = ["MAX_DOCUMENT_BYTES", "Source", "media_type", "open_source"]


def open_source(settings: SourceSettings, folder: Path, cache: Path, workspace: Path | None = None) -> Source:
    """Return the connector for one ``[[sources]]`` entry; nothing is read or contacted yet.

    `folder` is where rag.toml lies: relative paths start there. `cache` is a folder that belongs to
    this source alone and may be deleted at any time between runs (the git mirror lives there).
    `workspace` is the pipeline's own folder, which is never indexed even where a source encloses it.
    Raises `ConfigurationError` for settings that can never work.

    Each connector is imported when it is asked for: a search needs none of them, a refresh few.
    """
    match settings:
        case kinds.FilesSettings():
            from rag_pipeline.sources.files import FilesSource

            return FilesSource(settings, folder, workspace)
        case kinds.GitSettings():
            from rag_pipeline.sources.git import GitSource

            return GitSource(settings, folder, cache)
        case kinds.ObjectStoreSettings():
            from rag_pipeline.sources.object_store import ObjectStoreSource

            return ObjectStoreSource(settings)
        case kinds.TicketsSettings():
            from rag_pipeline.sources.tickets import TicketsSource

            return TicketsSource(settings, folder)
        case kinds.SqlSettings():
            from rag_pipeline.sources.sql import SqlSource

            return SqlSource(settings)
        case kinds.WebsiteSettings():
            from rag_pipeline.sources.website import WebsiteSource

            return WebsiteSource(settings, cache)
        case kinds.GithubIssuesSettings():
            from rag_pipeline.sources.github_issues import GithubIssuesSource

            return GithubIssuesSource(settings, cache)
    connector = plugin(SOURCES, settings.type)
    if connector is None:
        raise ConfigurationError(f"sources[{settings.name}]: no installed package brings the type {settings.type!r}")
    return connector(settings, folder, cache)
