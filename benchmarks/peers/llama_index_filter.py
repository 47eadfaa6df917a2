"""LlamaIndex: its Postgres `PGVectorStore` with HNSW as its documentation sets it up, and `MetadataFilters`."""

# pyright: reportMissingImports=false
# This file runs in .venv-peers, which the type checker does not see.

from collections.abc import Sequence
from typing import Any

from llama_index.core.vector_stores import MetadataFilter, MetadataFilters, VectorStoreQuery
from llama_index.vector_stores.postgres import PGVectorStore

from benchmarks.peers.filtered_search import ADMITTED, Job, main

_TABLE = "chunks"
_HNSW = {"hnsw_m": 16, "hnsw_ef_construction": 64, "hnsw_ef_search": 40}


class LlamaIndex:
    """The store is opened twice: it makes its index when it is first used, so at first without one."""

    columns = f"data_{_TABLE} (node_id, text, embedding, metadata_)"

    def __init__(self, job: Job) -> None:
        self._job = job
        self._store = self._opened(None)
        self._store.query(VectorStoreQuery(query_embedding=[1.0] * job.dimensions, similarity_top_k=1))

    def _opened(self, hnsw: dict[str, Any] | None) -> PGVectorStore:
        return PGVectorStore.from_params(
            connection_string=self._job.address("psycopg2"),
            async_connection_string=self._job.address("asyncpg"),
            table_name=_TABLE,
            embed_dim=self._job.dimensions,
            hnsw_kwargs=hnsw,
        )

    def index(self) -> None:
        """Open it with HNSW; the first question makes the index."""
        self._store = self._opened(dict(_HNSW))
        self._store.query(VectorStoreQuery(query_embedding=[1.0] * self._job.dimensions, similarity_top_k=1))

    def search(self, vector: Sequence[float], caller: str, k: int) -> list[str]:
        """Ask with a filter of one key."""
        filters = MetadataFilters(filters=[MetadataFilter(key=caller, value=ADMITTED)])
        query = VectorStoreQuery(query_embedding=list(vector), similarity_top_k=k, filters=filters)
        return list(self._store.query(query).ids or ())


if __name__ == "__main__":
    main(LlamaIndex)
