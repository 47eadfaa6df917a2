"""Search over the live generation, by sessions of role ``rag_reader``: it may call the search functions, nothing else.

The database finds and fuses; what follows is a row of layers, each a pure function in a file of its own:
re-ranking, near-duplicates, hits of one document, windows.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, LiteralString

from psycopg import Connection
from psycopg.rows import dict_row

from rag_pipeline.query.answer import Answer
from rag_pipeline.query.answering import Answering
from rag_pipeline.query.cache import KeptAnswers
from rag_pipeline.query.duplicates import reasons, without_duplicates
from rag_pipeline.query.evidence import Evidence
from rag_pipeline.query.explain import Journal
from rag_pipeline.query.hits import Candidate, Hits
from rag_pipeline.query.limits import limited_per_document
from rag_pipeline.query.models import Models, OpensModels
from rag_pipeline.query.passage import Passage, Section
from rag_pipeline.query.question import Asking, Caller, Filters
from rag_pipeline.query.sessions import Sessions, asked_anew, live_generation
from rag_pipeline.query.tracing import open_traces
from rag_pipeline.query.windows import merged_windows
from rag_pipeline.storable import storable

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

    from rag_pipeline.query.answering import OnText
    from rag_pipeline.query.query_log import QueryLog
    from rag_pipeline.query.rerank import Reranker
    from rag_pipeline.settings import Settings

MAX_HITS = 100
MAX_CHARACTERS = 10_000
_EVERYTHING = Filters()
_SPARE = 4
"""Candidates that are fetched for each hit asked for; the layers drop some, and asking again takes as long again."""


class Index:
    """An open index. Make one with `Index.connect`; any number of threads may use it at once."""

    def __init__(
        self,
        pool: "ConnectionPool[Connection[Any]]",
        settings: "Settings",
        models: OpensModels | None = None,
        queries: "Mapping[str, LiteralString] | None" = None,
        cache: bool = False,
    ) -> None:
        """Take a pool of read-only sessions of role rag_reader.

        Other `models` and `queries`, in place of ``statements("search")``, are for whoever searches what is not
        published yet. With `cache` answers are kept, and found again, where ``RAG_REDIS_URL`` says.
        """
        self._pool = pool
        self._sessions = Sessions(pool, queries)
        self._settings = settings
        self._loading = Lock()
        self._models: OpensModels = models or Models(settings)
        self._opened_reranker: Reranker | None = None
        kept = KeptAnswers(self._sessions, settings.answers.cache_hours) if cache else None
        self._answering = Answering(settings, kept)
        self._traces = open_traces(settings.tracing)
        self._log: QueryLog | None = None

    @classmethod
    @contextmanager
    def connect(cls, settings: "Settings | None" = None, log: bool = True, cache: bool = True) -> Iterator["Index"]:
        """Open the index of the settings (the nearest ``rag.toml``) and close it at the end of the block.

        Without `log` no question is logged, even where ``[queries] log`` is true, and without `cache` every answer is
        made anew: both are for measurements.
        Raises `ConfigurationError` when there is no such index, `TransientError` when it does not answer now.
        """
        from rag_pipeline.database.pool import reader_pool

        if settings is None:
            from rag_pipeline.settings import Settings

            settings = Settings.load()
        with reader_pool(settings) as pool:
            index = cls(pool, settings, cache=cache)
            if not (log and settings.queries.log):
                yield index
                return
            from rag_pipeline.query.query_log import QueryLog

            index._log = QueryLog(settings)
            try:
                yield index
            finally:
                index._log.close()

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
        hits = self._found(text, caller, k, filters, rerank, explain, plan)
        if self._log is not None:
            self._log.add_search(text, caller, filters, hits)
        return hits

    def _found(
        self, text: str, caller: Caller, k: int, filters: Filters, rerank: bool | None, explain: bool, plan: bool
    ) -> Hits:
        """Search as `search` does, but leave it to the caller to log the question."""
        with self._traces.span("search", text) as span:
            hits = self._checked(text, caller, k, filters, rerank, explain, plan)
            span.note(k=k, hits=len(hits), reranked=hits.reranked)
            span.layers(hits.layers)
        return hits

    def _checked(
        self, text: str, caller: Caller, k: int, filters: Filters, rerank: bool | None, explain: bool, plan: bool
    ) -> Hits:
        """Search. Raises `ValueError` for an empty question, one that is too long, and a `k` out of bounds."""
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
        return asked_anew(lambda: self._search(question, caller, k, filters, reranker, journal, plan, explain))

    def answer(
        self,
        text: str,
        *,
        caller: Caller,
        k: int = 10,
        filters: Filters = _EVERYTHING,
        rerank: bool | None = None,
        on_text: "OnText | None" = None,
    ) -> Answer:
        """Return an answer to a question from up to `k` hits, with citations; or say that it is not known.

        What is found may be too weak to be answered from (``[answers] min_evidence``); then no model is asked. Without
        ``[answers] model`` the best passages are quoted. `on_text` is called with the pieces of what a model writes, as
        they come. A model that fails is a note in the answer; this raises as `search` does.
        """
        begun = time.monotonic()
        with self._traces.span("answer", text) as span:
            hits = self._found(text, caller, k, filters, rerank, explain=False, plan=False)
            answer = self._answering.answer(Asking(text, caller, k, filters), hits, on_text)
            span.note(
                abstained=answer.abstained,
                cached=answer.cached,
                citations=len(answer.citations),
                model=answer.model,
                prompt_version=answer.prompt_version,
                tokens=answer.tokens,
                cost_usd=None if answer.cost_usd is None else float(answer.cost_usd),
            )
            span.layers(answer.layers)
        if self._log is not None:
            self._log.add_answer(text, caller, filters, answer)
        return replace(answer, seconds=time.monotonic() - begun)

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
            # Not a part of what is explained: no figure of likeness is given out.
            evidence = Evidence(**layers.pop("evidence"), is_measured=asked["is_measured"])
            hits = self._layered(text, candidates, k, reranker, journal.started(layers, plans), as_of, evidence)
            hits.generation = asked["generation"]
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
            generation = self._sessions.live.generation
            with (
                self._sessions.transaction(generation) as connection,
                connection.cursor(row_factory=dict_row) as cursor,
            ):
                return cursor.execute(self._sessions.queries["window"], asked).fetchall()

        rows = asked_anew(ask)
        return Passage.of(chunk_id, [Section.of(row) for row in rows], rows[0]) if rows else None

    def _asked(self, text: str, caller: Caller, filters: Filters) -> dict[str, Any]:
        from pgvector import HalfVector

        from rag_pipeline.settings.answers import is_measured

        retrieval = self._settings.retrieval
        live = self._sessions.live
        return filters.parameters | {
            "question": text,
            "generation": live.generation,
            "vector": HalfVector(self._models.of(live, self._sessions.sample).embed_query(text)),
            "model": live.model,
            "is_measured": is_measured(live.embedding),
            "principals": list(caller.principals),
            "fusion": retrieval.fusion,
            "vector_weight": retrieval.vector_weight,
            "exact_up_to": retrieval.exact_up_to,
        }

    def _candidates(
        self, asked: Mapping[str, Any], plan: bool
    ) -> tuple[Any, list[Candidate], dict[str, Any], list[str]]:
        """Ask the database: since when it is confirmed, the candidates, best first, the ways it took, the plans."""
        queries = self._sessions.queries
        with self._sessions.transaction(asked["generation"]) as connection:
            self._sessions.expect(connection, asked["generation"])
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
        evidence: Evidence,
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
            evidence=evidence,
        )

    def as_of(self) -> datetime | None:
        """Return since when every source is confirmed. For monitoring: a search tells its caller less.

        Raises as `search` does.
        """
        with self._sessions.transaction() as connection:
            return live_generation(connection, self._sessions.queries).as_of

    @property
    def _reranker(self) -> "Reranker":
        with self._loading:
            if self._opened_reranker is None:
                from rag_pipeline.query.rerank import open_reranker

                self._opened_reranker = open_reranker(self._settings.retrieval)
            return self._opened_reranker
