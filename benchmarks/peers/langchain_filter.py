"""LangChain: langchain-postgres' `PGVectorStore` with its `HNSWIndex` and a filter on its JSON metadata."""

# pyright: reportMissingImports=false
# This file runs in .venv-peers, which the type checker does not see.

from collections.abc import Sequence

from langchain_core.embeddings import FakeEmbeddings
from langchain_postgres import Column, PGEngine, PGVectorStore
from langchain_postgres.v2.indexes import HNSWIndex

from benchmarks.peers.filtered_search import ADMITTED, Job, main

_TABLE = "langchain_chunks"


class LangChain:
    """Every setting is the default, save the type of the ids."""

    columns = f"{_TABLE} (langchain_id, content, embedding, langchain_metadata)"

    def __init__(self, job: Job) -> None:
        engine = PGEngine.from_connection_string(job.address("psycopg"))
        identifier = Column("langchain_id", "VARCHAR", nullable=False)
        engine.init_vectorstore_table(_TABLE, job.dimensions, id_column=identifier)
        self._store = PGVectorStore.create_sync(engine, FakeEmbeddings(size=job.dimensions), _TABLE)

    def index(self) -> None:
        """Build what `apply_vector_index` builds."""
        self._store.apply_vector_index(HNSWIndex())

    def search(self, vector: Sequence[float], caller: str, k: int) -> list[str]:
        """Search by vector, as `similarity_search` does once it has embedded the question."""
        found = self._store.similarity_search_by_vector(list(vector), k=k, filter={caller: ADMITTED})
        return [str(document.id) for document in found]


if __name__ == "__main__":
    main(LangChain)
