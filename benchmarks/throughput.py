"""How fast the whole search is on a large index: one client and many, with the model and without, re-ranked.

Where a search is measured without the model, the vectors of the questions are at hand; the model's own time
stands beside it. Everything else is `Index.search` as any caller has it.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from psycopg import Connection
from psycopg_pool import ConnectionPool

from benchmarks.large_index.callers import AUDIENCES, EVERYTHING, NOBODY
from benchmarks.large_index.made import MISSING, Asked, LargeIndex, available, large_index
from benchmarks.options import Options
from benchmarks.report import Report, say
from rag_pipeline.database.connection import connect
from rag_pipeline.embeddings import Embedder, Sample, Vector, open_embedder
from rag_pipeline.index.generations import use_generation
from rag_pipeline.query.models import Live, Models
from rag_pipeline.query.question import Caller
from rag_pipeline.query.search import Index
from rag_pipeline.settings import Settings

TITLE = "Search in a large index"
_CLIENTS = (1, 4, 16)
_SECONDS, _QUICK_SECONDS = 20.0, 0.5
_RERANKED, _QUICK_RERANKED = 30, 1
_QUICK_DEPTH = 5
_RERANK_SECONDS = 600
_GOAL_MS = 50.0
_DEPTH, _EVERY = 50, 4
_AFFORDABLE = 7_500
_ROUNDED = 1 - 1e-4
_CALLERS = {"everything": EVERYTHING, **{audience.name: audience.group for audience in AUDIENCES}, "nothing": NOBODY}
_WORDS_CALLERS = ("everything", "50 % at random", "5 % at random")


@dataclass(frozen=True, slots=True)
class _Times:
    """Milliseconds of some searches, in order."""

    milliseconds: Sequence[float]

    def percentile(self, percent: float) -> float:
        """Return the time within which this share of the searches was done."""
        return float(np.percentile(self.milliseconds, percent))

    @property
    def cells(self) -> tuple[float, float, float]:
        """Median, 95th percentile and the longest."""
        return self.percentile(50), self.percentile(95), max(self.milliseconds)


class _AtHand:
    """Stands for the model: it knows the vectors of the questions, so that its time is not measured."""

    def __init__(self, real: Embedder, questions: Sequence[Asked]) -> None:
        self.model = real.model
        self.dimensions = real.dimensions
        self.count_tokens = real.count_tokens
        self.embed = real.embed
        self.sample = real.sample
        self._vectors = {asked.text: asked.vector for asked in questions}

    def embed_query(self, text: str) -> Vector:
        """Return the vector of one of the questions."""
        return self._vectors[text]


def _index_with(embedder: Embedder) -> type[Index]:
    """Return `Index`, but with a model that is given."""

    class Given(Models):
        def of(self, live: Live, sample: Callable[[int], Sample | None]) -> Embedder:
            assert live.model == embedder.model
            return embedder

    class IndexWith(Index):
        def __init__(self, pool: ConnectionPool[Connection[Any]], settings: Settings, **more: Any) -> None:
            super().__init__(pool, settings, Given(settings), **more)

    return IndexWith


def run(report: Report, options: Options) -> None:
    """Measure latency of each caller, then throughput, then re-ranking."""
    if not available():
        report.text(MISSING)
        return
    with large_index(options) as index:
        settings = index.bench.settings
        model = open_embedder(settings.embedding)
        at_hand = _index_with(_AtHand(model, index.questions))
        with at_hand.connect(settings) as opened:
            _latency(report, index, opened)
            _layers(report, index, opened)
        _words(report, index)
        _throughput(report, index, options, {"vectors at hand": at_hand, "with the model": _index_with(model)})
        _model_and_reranking(report, index, options, model, at_hand)


def _latency(report: Report, index: LargeIndex, opened: Index) -> None:
    """Ask every question for every caller, one after the other."""
    # A server that has just started reads the graphs from disk once.
    for group in _CALLERS.values():
        _timed(lambda asked, group=group: opened.search(asked.text, caller=Caller(group)), index.questions)
    times: dict[str, _Times] = {}
    for name, group in _CALLERS.items():
        say(f"one client, {name}")
        times[name] = _timed(
            lambda asked, group=group: opened.search(asked.text, caller=Caller(group)), index.questions
        )
    slowest = max(times, key=lambda name: times[name].percentile(95))
    p95 = times[slowest].percentile(95)
    report.goal(f"p95 of the slowest caller ({slowest}), one client", f"< {_GOAL_MS:.0f}", p95, "ms", p95 < _GOAL_MS)
    report.text(
        f"`Index.search` on {index.chunks:,} chunks (see the section before for what they are), all settings the "
        f"defaults: both searches, fusion, near-duplicates, windows; k = 10; {len(index.questions)} questions, "
        "each asked once before, milliseconds of the whole call, vectors at hand:"
    )
    report.table(("the caller may read", "p50", "p95", "max"), [(name, *found.cells) for name, found in times.items()])


def _layers(report: Report, index: LargeIndex, opened: Index) -> None:
    """Say what the layers take, as `explain` tells."""
    names: dict[str, list[float]] = {}
    for asked in index.questions:
        explanation = opened.search(asked.text, caller=Caller(EVERYTHING), explain=True).explanation
        assert explanation is not None
        for layer in explanation.layers:
            names.setdefault(layer.name, []).append(layer.milliseconds)
    report.text("Of the caller who may read everything, milliseconds of each layer, as `explain` gives them:")
    report.table(
        ("layer", "p50", "p95", "max"), [(name, *_Times(milliseconds).cells) for name, milliseconds in names.items()]
    )


def _words(report: Report, index: LargeIndex) -> None:
    """Compare what the words find with what they find when nothing is too much to read."""
    questions = index.questions[::_EVERY]
    rows: list[tuple[str, str, str]] = []
    with connect(index.bench.settings, role=None) as owner:
        use_generation(owner, index.generation)
        for name in _WORDS_CALLERS:
            say(f"words, {name}")
            shares: dict[int, list[float]] = {10: [], _DEPTH: []}
            for asked in questions:
                scores, exact = (
                    [score for (score,) in owner.execute(_KEYWORDS, (asked.text, ["public", _CALLERS[name]], bound))]
                    for bound in (_AFFORDABLE, 2**40)
                )
                for depth, share in shares.items():
                    if best := exact[:depth]:
                        share.append(sum(score >= best[-1] * _ROUNDED for score in scores[:depth]) / len(best))
            rows.append((name, f"{np.mean(shares[10]):.3f}", f"{np.mean(shares[_DEPTH]):.3f}"))
    report.text(
        f"The words' half scores exactly what it reads, and does not read everything (by default {_AFFORDABLE:,} "
        "entries, more where little is visible). What it finds of the best that there are, mean of "
        f"{len(questions)} questions:"
    )
    report.table(("the caller may read", "of the best 10", f"of the best {_DEPTH}"), rows)


_KEYWORDS = """
    select unnest(found.scores)
    from (select %s as question, %s::text[] as principals, %s::bigint as affordable) as asked
    cross join rag.search_scope(
        asked.question, asked.principals, null, null, null, null, null, null, null, null, 50000
    ) as scope
    cross join rag.keyword_candidates(
        asked.question, scope.languages, scope.lists, null, null, scope.visible, 50, asked.affordable
    ) as found
"""


def _throughput(report: Report, index: LargeIndex, options: Options, kinds: Mapping[str, type[Index]]) -> None:
    """Let clients ask without a pause, each question for a caller at random."""
    seconds = _QUICK_SECONDS if options.quick else _SECONDS
    rows: list[tuple[str, int, float, float, float]] = []
    for kind, opening in kinds.items():
        with opening.connect(index.bench.settings) as opened:
            for clients in _CLIENTS:
                say(f"{clients} clients, {kind}")
                found, took = _pressed(opened, index.questions, clients, seconds)
                p50, p95, _ = found.cells
                rows.append((kind, clients, len(found.milliseconds) / took, p50, p95))
    report.text(
        f"Clients are threads of one process with one `Index`, each asking without a pause for {seconds:.0f} s, every "
        "question for one of the callers above at random; server and clients share the machine's cores."
    )
    report.table(
        ("search", "clients", "searches/s", "p50 ms", "p95 ms"),
        [(kind, str(clients), rate, p50, p95) for kind, clients, rate, p50, p95 in rows],
    )


def _pressed(opened: Index, questions: Sequence[Asked], clients: int, seconds: float) -> tuple[_Times, float]:
    """Return the times of all searches, and how long it all took."""
    groups = list(_CALLERS.values())
    milliseconds: list[float] = []
    failures: list[BaseException] = []
    started = time.perf_counter()

    def client(number: int) -> None:
        generator = random.Random(number)
        try:
            while time.perf_counter() < started + seconds:
                asked, group = generator.choice(questions), generator.choice(groups)
                begun = time.perf_counter()
                opened.search(asked.text, caller=Caller(group))
                milliseconds.append((time.perf_counter() - begun) * 1000)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return _Times(milliseconds), time.perf_counter() - started


def _model_and_reranking(
    report: Report, index: LargeIndex, options: Options, model: Embedder, at_hand: type[Index]
) -> None:
    """Measure what the two models add."""
    questions = index.questions[:: max(1, len(index.questions) // (_QUICK_RERANKED if options.quick else _RERANKED))]
    settings = _patient(index.bench.settings, _QUICK_DEPTH if options.quick else None)
    retrieval = settings.retrieval
    say(f"re-ranking, {len(questions)} questions")
    embedding = _timed(lambda asked: model.embed_query(asked.text), index.questions)
    with at_hand.connect(settings) as opened:

        def search(asked: Asked) -> None:
            hits = opened.search(asked.text, caller=Caller(EVERYTHING), rerank=True)
            assert hits.reranked, hits.notes

        search(questions[0])
        reranked = _timed(search, questions)
    report.text(
        f"What the models add, one client: the vector of a question by `{model.model}`, and a search of the caller who "
        f"may read everything, re-ranked by `{retrieval.rerank_model}` ({retrieval.rerank_depth} pairs; it may take as "
        f"long as it needs, by default it has {index.bench.settings.retrieval.rerank_seconds:g} s):"
    )
    report.table(
        ("milliseconds", "p50", "p95", "max"),
        [("a question's vector", *embedding.cells), ("a search, re-ranked, vector at hand", *reranked.cells)],
    )


def _patient(settings: Settings, rerank_depth: int | None) -> Settings:
    depth = {} if rerank_depth is None else {"rerank_depth": rerank_depth}
    retrieval = settings.retrieval.model_copy(update={"rerank_seconds": _RERANK_SECONDS} | depth)
    return settings.model_copy(update={"retrieval": retrieval})


def _timed(work: Callable[[Asked], object], questions: Sequence[Asked]) -> _Times:
    """Do the work for each question, one after the other."""
    milliseconds: list[float] = []
    for asked in questions:
        started = time.perf_counter()
        work(asked)
        milliseconds.append((time.perf_counter() - started) * 1000)
    return _Times(milliseconds)
