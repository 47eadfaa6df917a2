"""Search over the live generation, by sessions of role ``rag_reader``: it may call the search functions, nothing else.

The database finds and fuses; what follows is a row of layers, each a pure function in a file of its own:
re-ranking, near-duplicates, hits of one document, windows.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg import Connection
from psycopg.rows import dict_row

from rag_pipeline.database.connection import gone
from rag_pipeline.database.statements import statements
from rag_pipeline.errors import ConfigurationError, TransientError
from rag_pipeline.query.duplicates import reasons, without_duplicates
from rag_pipeline.query.explain import Journal
from rag_pipeline.query.hits import Candidate, Hits
from rag_pipeline.query.limits import limited_per_document
from rag_pipeline.query.models import AnotherGeneration, Live, Models
from rag_pipeline.query.passage import Passage, Section
from rag_pipeline.query.question import Caller, Filters
from rag_pipeline.query.windows import merged_windows
from rag_pipeline.storable import storable

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

    from rag_pipeline.embeddings import Sample
    from rag_pipeline.query.rerank import Reranker
    from rag_pipeline.settings import Settings

_Answer = TypeVar("_Answer")
_ATTEMPTS = 3
MAX_HITS = 100
MAX_CHARACTERS = 10_000
_EVERYTHING = Filters()
_SPARE = 3
"""Candidates that are fetched for each hit asked for; the layers drop some."""


class Index:
    """An open index. Make one with `Index.connect`; any number of threads may use it at once."""

    def __init__(self, pool: "ConnectionPool[Connection[Any]]", settings: "Settings") -> None:
        """Take a pool of read-only sessions of role rag_reader."""
        self._pool = pool
        self._settings = settings
        self._loading = Lock()
        self._models = Models(settings)
        self._generation: Live | None = None
        self._opened_reranker: Reranker | None = None

    @classmethod
    @contextmanager
    def connect(cls, settings: "Settings | None" = None) -> Iterator["Index"]:
        """Open the index of the settings (the nearest ``rag.toml``) and close it at the end of the block.

        Raises `ConfigurationError` when there is no such index, `TransientError` when it does not answer now.
        """
        from rag_pipeline.database.pool import reader_pool

        if settings is None:
            from rag_pipeline.settings import Settings

            settings = Settings.load()
        with reader_pool(settings) as pool:
            yield cls(pool, settings)

    def search(
        self,
        text: str,
        *,
        caller: Caller,
        k: int = 10,
        filters: Filters = _EVERYTHING,
        rerank: bool | None = None,
        explain: bool = False,
        plan: bool = False,
    ) -> Hits:
        """Return up to `k` chunks, best first, of those that the caller may read and the filters admit.

        Words in quotation marks must stand next to each other. `rerank` None means what ``[retrieval] rerank``
        says. With `explain` the hits say how they came about, with `plan` also how Postgres went about it.

        Raises `ValueError` for a question or `k` out of bounds, `ConfigurationError` when nothing is
        indexed yet or the model of the index cannot be opened, `TransientError` when it does not answer now, and
        `PermanentError` when the service has another model than the index was made with.
        """
        if not text.strip():
            raise ValueError("the question is empty")
        if len(text) > MAX_CHARACTERS:
            raise ValueError(f"the question has {len(text):,} characters; at most {MAX_CHARACTERS:,} are allowed")
        if not 1 <= k <= MAX_HITS:
            raise ValueError(f"k is {k}; ask for 1 to {MAX_HITS} hits")
        retrieval = self._settings.retrieval
        reranker = self._reranker if (retrieval.rerank if rerank is None else rerank) else None
        journal = Journal(explain or plan)
        question = storable(text)
        return _asked_anew(lambda: self._search(question, caller, k, filters, reranker, journal, plan, explain))

    def _search(
        self,
        text: str,
        caller: Caller,
        k: int,
        filters: Filters,
        reranker: "Reranker | None",
        journal: Journal,
        plan: bool,
        explain: bool,
    ) -> Hits:
        """Search in the generation that is live now. Raises `AnotherGeneration` when it is no longer."""
        retrieval = self._settings.retrieval
        with journal.measured("embedding"):
            asked = self._asked(text, caller, filters)
        everything = 2 * max(retrieval.candidates, k)
        # What is re-ranked is fetched at once, so that a search never re-ranks twice.
        wanted = everything if explain or plan or reranker else min(everything, _SPARE * k)
        while True:
            asked |= {"candidates": max(retrieval.candidates, k), "wanted": wanted}
            as_of, candidates, layers, plans = self._candidates(asked, plan)
            hits = self._layered(text, candidates, k, reranker, journal.started(layers, plans), as_of)
            if len(hits) == k or len(candidates) < wanted or wanted == everything:
                return hits
            wanted = everything

    def window(self, chunk_id: str, *, caller: Caller, before: int = 0, after: int = 0) -> Passage | None:
        """Return a chunk's section with up to `before` and `after` sections around it, in the document's order.

        None where the caller may not read the document, just as where there is no such chunk.
        Raises `ValueError` for numbers below zero, and as `search` does.
        """
        if before < 0 or after < 0:
            raise ValueError("before and after count sections; they are not below zero")
        asked = {
            "chunk_id": storable(chunk_id),
            "principals": list(caller.principals),
            "before": min(before, 1_000_000),
            "after": min(after, 1_000_000),
        }

        def ask() -> list[dict[str, Any]]:
            generation = (self._generation or self._look()).generation
            with self._transaction(generation) as connection, connection.cursor(row_factory=dict_row) as cursor:
                return cursor.execute(statements("search")["window"], asked).fetchall()

        rows = _asked_anew(ask)
        return Passage.of(chunk_id, [Section.of(row) for row in rows], rows[0]) if rows else None

    def _asked(self, text: str, caller: Caller, filters: Filters) -> dict[str, Any]:
        from pgvector import HalfVector

        retrieval = self._settings.retrieval
        live = self._generation or self._look()
        return filters.parameters | {
            "question": text,
            "generation": live.generation,
            "vector": HalfVector(self._models.of(live, self._sample).embed_query(text)),
            "model": live.model,
            "principals": list(caller.principals),
            "fusion": retrieval.fusion,
            "vector_weight": retrieval.vector_weight,
            "exact_up_to": retrieval.exact_up_to,
        }

    def _candidates(
        self, asked: Mapping[str, Any], plan: bool
    ) -> tuple[Any, list[Candidate], Mapping[str, Any], list[str]]:
        """Ask the database: since when it is confirmed, the candidates, best first, the ways it took, the plans."""
        queries = statements("search")
        with self._transaction(asked["generation"]) as connection:
            self._expect(connection, asked["generation"])
            with connection.cursor(row_factory=dict_row) as cursor:
                rows = cursor.execute(queries["search"], asked).fetchall()
            plans = [line for (line,) in connection.execute(queries["search_plan"], asked)] if plan else []
        layers = rows.pop()["layers"]
        as_of = datetime.fromisoformat(layers["as_of"]) if layers["as_of"] else None
        for row in rows:
            del row["layers"]
        return as_of, [Candidate(**row) for row in rows], layers, plans

    def _layered(
        self,
        text: str,
        candidates: list[Candidate],
        k: int,
        reranker: "Reranker | None",
        journal: Journal,
        as_of: Any,
    ) -> Hits:
        """Lead the candidates through the layers after the database."""
        retrieval = self._settings.retrieval
        ordered, notes, ranks = candidates, journal.notes, {}
        if reranker is not None:
            from rag_pipeline.query.rerank import reranked

            with journal.layer("rerank", len(candidates)):
                ordered, ranks, note = reranked(
                    text,
                    candidates,
                    reranker,
                    retrieval.rerank_weight,
                    retrieval.rerank_depth,
                    retrieval.rerank_seconds,
                )
            notes = (*notes, note) if note else notes
        with journal.layer("duplicates", len(ordered)) as done:
            survivors, twins = without_duplicates(ordered, retrieval.duplicate_similarity)
            done(len(survivors), reasons(twins))
        with journal.layer("per document", len(survivors)) as done:
            kept, crowded = limited_per_document(survivors, retrieval.per_document)
            done(len(kept), crowded)
        best = kept[:k]
        with journal.layer("windows", len(best)):
            windows = merged_windows(best)
        return Hits(
            (candidate.hit(twins.get(candidate.chunk_id, ())) for candidate in best),
            as_of,
            reranked=bool(ranks),
            notes=notes,
            windows=windows,
            layers=journal.layers,
            explanation=journal.explanation(candidates, ranks, best, k),
        )

    def _look(self) -> Live:
        """Ask which generation is live, and remember it."""
        with self._transaction() as connection:
            self._generation = _live(connection)
        return self._generation

    def _sample(self, generation: int) -> "Sample | None":
        """Return by what the model of a generation is known again. Raises `AnotherGeneration` unless it is live."""
        from rag_pipeline.embeddings.drift import kept_sample

        with self._transaction(generation) as connection:
            row = connection.execute(statements("search")["sample"], {"generation": generation}).fetchone()
        if row is None:
            self._look()
            raise AnotherGeneration
        answered_as, numbers = row
        return None if answered_as is None else kept_sample(numbers, answered_as)

    def _expect(self, connection: Connection[Any], generation: int) -> None:
        """Raise `AnotherGeneration`, and remember it, unless this one is still live."""
        live = _live(connection)
        if live.generation != generation:
            self._generation = live
            raise AnotherGeneration

    @contextmanager
    def _transaction(self, generation: int | None = None) -> Iterator[Connection[Any]]:
        """Give a session inside one read-only transaction on one snapshot.

        An error that comes of another `generation` having become live meanwhile is `AnotherGeneration`.
        """
        try:
            with self._pool.connection() as connection, connection.transaction():
                yield connection
        except (psycopg.errors.SerializationFailure, psycopg.DataError) as error:
            if generation is not None and self._look().generation != generation:
                raise AnotherGeneration from error
            if isinstance(error, psycopg.errors.SerializationFailure):
                raise TransientError(f"the index could not answer; ask again: {error}") from error
            raise ValueError(f"the filters cannot be used: {error.diag.message_primary or error}") from error
        except (psycopg.errors.UndefinedFunction, psycopg.errors.InvalidSchemaName) as error:
            raise _nothing_indexed() from error
        except psycopg.OperationalError as error:
            what = "stopped answering" if gone(error) else "could not answer"
            raise TransientError(f"the index {what}; ask again: {error}") from error

    def as_of(self) -> datetime | None:
        """Return since when every source is confirmed, for those who watch the index; no caller is told so.

        Raises as `search` does.
        """
        with self._transaction() as connection:
            return _live(connection).as_of

    @property
    def _reranker(self) -> "Reranker":
        with self._loading:
            if self._opened_reranker is None:
                from rag_pipeline.query.rerank import open_reranker

                self._opened_reranker = open_reranker(self._settings.retrieval)
            return self._opened_reranker


def _asked_anew(ask: Callable[[], _Answer]) -> _Answer:
    """Ask; when another generation became live meanwhile, which then answers nothing, ask that one."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(AnotherGeneration):
            return ask()
    return ask()


def _live(connection: Connection[Any]) -> Live:
    """Return the generation that the search functions read, as a session sees it."""
    try:
        row = connection.execute(statements("search")["index_state"], {"sources": None}).fetchone()
    except psycopg.errors.UndefinedColumn as error:
        raise ConfigurationError(
            "this index and this rag-pipeline are of different versions; see what to do: rag-pipeline status"
        ) from error
    if row is None:
        raise _nothing_indexed()
    return Live(*row)


def _nothing_indexed() -> ConfigurationError:
    return ConfigurationError("nothing is indexed yet; fill the index with: rag-pipeline refresh")
