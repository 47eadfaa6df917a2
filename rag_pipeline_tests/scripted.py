"""A source whose world is a dictionary, so that a test can make listings partial, empty or broken at will."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rag_pipeline.errors import DocumentError, TransientError
from rag_pipeline.model import NOBODY, Access, DocumentRef, Failure, ListingEnd
from rag_pipeline.settings import FilesSettings, Guards, Settings
from rag_pipeline.stages import Pipeline


@dataclass(slots=True)
class Entry:
    """One document of the scripted world."""

    text: str
    access: Access = NOBODY
    metadata: dict[str, object] = field(default_factory=dict)
    readable: bool = True


@dataclass(slots=True)
class World:
    """What the source holds, and how its next listing behaves."""

    documents: dict[str, Entry] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    complete: bool = True
    fails_after: int | None = None
    fetched: int = 0

    def check(self) -> None:
        """Always reachable."""

    def list(self) -> Iterator[DocumentRef | Failure | ListingEnd]:
        """List what is not hidden; may break off."""
        for number, (name, entry) in enumerate(sorted(self.documents.items())):
            if self.fails_after is not None and number >= self.fails_after:
                raise TransientError("the scripted source went away")
            if name not in self.hidden:
                yield DocumentRef(
                    name, f"test://{name}", media_type="text/markdown", access=entry.access, metadata=entry.metadata
                )
        yield ListingEnd(self.complete, None if self.complete else "a scripted part is missing")

    def fetch(self, ref: DocumentRef) -> bytes:
        """Return the bytes as they are now."""
        self.fetched += 1
        if not self.documents[ref.document_id].readable:
            raise DocumentError("the scripted document cannot be read")
        return self.documents[ref.document_id].text.encode()

    def close(self) -> None:
        """Nothing to release."""


class ScriptedPipeline(Pipeline):
    """A pipeline over scripted worlds, by source name."""

    def __init__(self, settings: Settings, worlds: dict[str, World]) -> None:
        super().__init__(settings)
        self.worlds = worlds

    @contextmanager
    def opened(self, source: str) -> Iterator[World]:
        """Give the scripted connector."""
        yield self.worlds[source]


def scripted(settings: Settings, source: str, guards: Guards | None = None) -> tuple[ScriptedPipeline, World]:
    """Return a pipeline with one scripted source, and its world."""
    guards = guards or Guards.model_validate({})
    configured = FilesSettings(name=source, type="files", path=Path("."), guards=guards)
    world = World()
    return ScriptedPipeline(settings.model_copy(update={"sources": (configured,)}), {source: world}), world
