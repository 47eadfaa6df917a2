"""LlamaIndex: `IngestionPipeline` with a Postgres document store (upserts and deletes) and `PGVectorStore`."""

# pyright: reportMissingImports=false
# This file runs in .venv-peers, which the type checker does not see.

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from llama_index.core import Document
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import NodeParser
from llama_index.core.node_parser.node_utils import build_nodes_from_splits
from llama_index.core.schema import BaseNode
from llama_index.storage.docstore.postgres import PostgresDocumentStore
from llama_index.storage.kvstore.postgres import PostgresKVStore
from llama_index.vector_stores.postgres import PGVectorStore

from benchmarks.peers.phases import Place, main
from benchmarks.peers.texts import CountingEmbedder, cut, pages
from rag_pipeline.embeddings import in_order

_TABLE = "chunks"


class _Embedding(BaseEmbedding):
    _embedder: CountingEmbedder = PrivateAttr()

    def __init__(self, embedder: CountingEmbedder) -> None:
        super().__init__(model_name=embedder.model)
        self._embedder = embedder

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return [vector.tolist() for vector in in_order(self._embedder, texts)]

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._embedder.embed_query(query).tolist()

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)


class _Cutter(NodeParser):
    def _parse_nodes(self, nodes: Sequence[BaseNode], show_progress: bool = False, **_: Any) -> list[BaseNode]:
        return [piece for node in nodes for piece in build_nodes_from_splits(cut(node.get_content()), node)]


class LlamaIndex:
    """Every run loads all documents; the document store decides by hash which of them to process."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.embedder = CountingEmbedder()
        addresses = {
            "connection_string": place.address("psycopg2"),
            "async_connection_string": place.address("asyncpg"),
            "use_jsonb": True,
        }
        self._pipeline = IngestionPipeline(
            transformations=[_Cutter(), _Embedding(self.embedder)],
            docstore=PostgresDocumentStore(PostgresKVStore("docstore", **addresses)),
            vector_store=PGVectorStore(table_name=_TABLE, embed_dim=self.embedder.dimensions, **addresses),
            docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
        )

    def refresh(self) -> None:
        """Run the pipeline over all documents."""
        documents = [
            Document(text=page.text, id_=page.path, metadata={"source": page.path, "access": page.access})
            for page in pages(self._place.documents)
        ]
        self._pipeline.run(documents=documents)

    def published(self) -> Iterable[tuple[str, str, str]]:
        """Read the table."""
        with psycopg.connect(self._place.url) as connection:
            return connection.execute(
                f"select metadata_->>'source', text, metadata_->>'access' from data_{_TABLE}"
            ).fetchall()


if __name__ == "__main__":
    main(LlamaIndex)
