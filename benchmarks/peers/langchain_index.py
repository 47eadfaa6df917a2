"""LangChain: `index()` with a SQL record manager and langchain-postgres' `PGVectorStore`; the variant is `cleanup`."""

# pyright: reportMissingImports=false
# This file runs in .venv-peers, which the type checker does not see.

from collections.abc import Iterable, Iterator

import psycopg
from langchain_classic.indexes import SQLRecordManager, index
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_postgres import Column, PGEngine, PGVectorStore

from benchmarks.peers.phases import Place, main
from benchmarks.peers.texts import CountingEmbedder, cut, pages
from rag_pipeline.embeddings import in_order

_TABLE = "langchain_chunks"


class _Embeddings(Embeddings):
    def __init__(self, embedder: CountingEmbedder) -> None:
        self._embedder = embedder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [vector.tolist() for vector in in_order(self._embedder, texts)]

    def embed_query(self, text: str) -> list[float]:
        return self._embedder.embed_query(text).tolist()


class LangChain:
    """Every run loads and cuts all documents; `index()` decides by hash what to write."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.embedder = CountingEmbedder()
        engine = PGEngine.from_connection_string(place.address("psycopg"))
        # The keys of index() are texts, the table's own default is a UUID.
        identifier = Column("langchain_id", "VARCHAR", nullable=False)
        engine.init_vectorstore_table(_TABLE, self.embedder.dimensions, id_column=identifier)
        self._store = PGVectorStore.create_sync(engine, _Embeddings(self.embedder), _TABLE)
        self._records = SQLRecordManager("corpus", db_url=place.address("psycopg"))
        self._records.create_schema()

    def refresh(self) -> None:
        """Run `index()` with its default batch size."""
        index(
            self._documents(),
            self._records,
            self._store,
            cleanup=self._place.variant,
            source_id_key="source",
            key_encoder="sha256",
        )

    def published(self) -> Iterable[tuple[str, str, str]]:
        """Read the table."""
        with psycopg.connect(self._place.url) as connection:
            return connection.execute(
                f"select langchain_metadata->>'source', content, langchain_metadata->>'access' from {_TABLE}"
            ).fetchall()

    def _documents(self) -> Iterator[Document]:
        for page in pages(self._place.documents):
            for piece in cut(page.text):
                yield Document(page_content=piece, metadata={"source": page.path, "access": page.access})


if __name__ == "__main__":
    main(LangChain)
