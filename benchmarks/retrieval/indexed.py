"""A collection in the product's index, and what its searches find there.

Documents are files that the pipeline reads with its default settings; whatever is measured goes the way a
caller's question goes, as role ``rag_reader``. Only the tuning reads scores, as the superuser.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pgvector import HalfVector
from psycopg import Connection
from psycopg.rows import dict_row

from benchmarks.report import say
from benchmarks.retrieval.judged import Collection, Question
from benchmarks.retrieval.scoring import Rankings, by_best_chunk
from benchmarks.workbench import SOURCE, workbench
from rag_pipeline.database.connection import connect
from rag_pipeline.database.statements import statements
from rag_pipeline.embeddings import Embedder, open_embedder
from rag_pipeline.index.generations import use_generation
from rag_pipeline.query.hits import Candidate
from rag_pipeline.query.question import Caller, Filters
from rag_pipeline.query.search import Index
from rag_pipeline.settings import Settings
from rag_pipeline.stages import Pipeline

CALLER = Caller("public")
DEEP = 100
"""How many documents the deepest metric looks at."""

_HITS = 30
"""Chunks asked for where ten documents are scored: no document may have more than three of them."""

_SAID_EVERY = 100


@dataclass(frozen=True, slots=True)
class Indexed:
    """An index of one collection, and an open session of a reader."""

    collection: Collection
    settings: Settings
    embedder: Embedder
    files: dict[str, str]
    chunks: int
    reader: Connection[Any]
    owner: Connection[Any]

    def half(self, question: Question, words: bool) -> list[str]:
        """Return the documents that one of the two searches finds, best first: by words, or by meaning."""
        vector = None if words else HalfVector(self.embedder.embed_query(question.text))
        rows = self.reader.execute(
            """
            select document_id from rag.search(
                %s, %s, 1000, query_vector => %s, query_model => %s, candidates => 1000
            )
            where chunk_id is not null
            """,
            (question.text if words else "", list(CALLER.principals), vector, self.embedder.model),
        )
        return by_best_chunk(self.files[document_id] for (document_id,) in rows)

    def candidates(self, question: Question) -> list[Candidate]:
        """Return what the layers after the database are given, with the default settings."""
        retrieval = self.settings.retrieval
        asked = Filters().parameters | {
            "question": question.text,
            "principals": list(CALLER.principals),
            "wanted": 2 * retrieval.candidates,
            "vector": HalfVector(self.embedder.embed_query(question.text)),
            "model": self.embedder.model,
            "fusion": retrieval.fusion,
            "vector_weight": retrieval.vector_weight,
            "candidates": retrieval.candidates,
            "exact_up_to": retrieval.exact_up_to,
            "explain": False,
        }
        with self.reader.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(statements("search")["search"], asked).fetchall()
        found = [row for row in rows if row["chunk_id"] is not None]
        return [Candidate(**{name: value for name, value in row.items() if name != "layers"}) for row in found]

    def searched(self, questions: Sequence[Question], rerank: bool, deep: bool = False) -> Rankings:
        """Ask `Index.search`, as a caller does; re-ranking takes the time that it needs.

        For ten documents all settings are the defaults; for a hundred, `deep`, each search brings 200
        candidates and a document has one hit.
        """
        changed: dict[str, Any] = {"rerank_seconds": 600}
        if deep:
            changed |= {"candidates": 2 * DEEP, "per_document": 1}
        retrieval = self.settings.retrieval.model_copy(update=changed)
        with Index.connect(self.settings.model_copy(update={"retrieval": retrieval})) as index:

            def search(question: Question) -> list[str]:
                hits = index.search(question.text, caller=CALLER, k=DEEP if deep else _HITS, rerank=rerank)
                assert hits.reranked == rerank, hits.notes
                return by_best_chunk(self.files[hit.document_id] for hit in hits)

            return ranked(questions, search)


def ranked(questions: Sequence[Question], search: Callable[[Question], Sequence[str]]) -> Rankings:
    """Ask all questions; say now and then how far it is."""
    rankings: dict[str, Sequence[str]] = {}
    for number, question in enumerate(questions, 1):
        rankings[question.id] = search(question)
        if number % _SAID_EVERY == 0:
            say(f"{number} of {len(questions)} questions")
    return rankings


@contextmanager
def indexed(collection: Collection, rerank_depth: int | None = None) -> Iterator[Indexed]:
    """Write the pages of a collection as files, index them, and give the index; it goes away afterwards.

    A `rerank_depth` other than the default's is for quick runs.
    """
    with workbench(provider="local") as bench:
        bench.documents.mkdir()
        files = {f"{number:05}.md": id for number, id in enumerate(collection.pages)}
        for name, id in files.items():
            (bench.documents / name).write_text(collection.pages[id], "utf-8")
        say(f"{collection.name}: indexing {len(files):,} documents")
        published = Pipeline(bench.settings).refresh(SOURCE)
        bench.settle()
        settings = bench.settings
        if rerank_depth:
            changed = settings.retrieval.model_copy(update={"rerank_depth": rerank_depth})
            settings = settings.model_copy(update={"retrieval": changed})
        embedder = open_embedder(settings.embedding)
        with connect(settings, role="rag_reader") as reader, connect(settings, role=None) as owner:
            use_generation(owner, published.generation)
            yield Indexed(collection, settings, embedder, files, published.chunks_written, reader, owner)
