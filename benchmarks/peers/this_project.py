"""This project, as an application would call it from Python."""

from collections.abc import Iterable

import psycopg

from benchmarks.peers.phases import Place, main
from benchmarks.peers.texts import CountingEmbedder
from rag_pipeline.settings import Settings
from rag_pipeline.stages import Pipeline

_SOURCE = "corpus"
_CHUNKS = """
    select document_id, text, array_to_string(allow, ',')
    from rag.chunks join rag.access_lists using (acl_id, source)
"""


class ThisProject:
    """The stage functions over one source of type `files`; all settings are the defaults."""

    def __init__(self, place: Place) -> None:
        source = {"name": _SOURCE, "type": "files", "path": place.documents, "access": ["public"]}
        self._url = place.url
        self._pipeline = Pipeline(
            Settings.model_validate(
                {
                    "folder": place.state,
                    "database": {"url": place.url},
                    "embedding": {"provider": "hashed"},
                    "sources": [source | {"include": ["**/*.md"]}],
                }
            )
        )
        self.embedder = self._pipeline.embedder = CountingEmbedder()
        # The others make most of their tables when they are opened, too.
        _ = self._pipeline.generation

    def refresh(self) -> None:
        """Run all stages."""
        self._pipeline.refresh(_SOURCE)

    def published(self) -> Iterable[tuple[str, str, str]]:
        """Read the view that analysts read."""
        with psycopg.connect(self._url) as connection:
            return connection.execute(_CHUNKS).fetchall()


if __name__ == "__main__":
    main(ThisProject)
