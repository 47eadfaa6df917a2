"""The gate: what is worse than the baseline allows, or cannot be compared with it any more, is not published.

The golden set is asked of the candidate inside the transaction that publishes it, by the search that readers call, in
the session that has written it. A closed gate ends that transaction, so that readers notice nothing; what was found is
written down afterwards.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from rag_pipeline.embeddings import Embedder
from rag_pipeline.errors import PermanentError, TransientError
from rag_pipeline.evaluation.asking import search_all
from rag_pipeline.evaluation.baseline import Baseline, baseline_of
from rag_pipeline.evaluation.candidate import QuestionVectors, candidate, trial
from rag_pipeline.evaluation.compare import Verdict, compare
from rag_pipeline.evaluation.golden import GoldenSet
from rag_pipeline.evaluation.record import Purpose, record
from rag_pipeline.evaluation.results import RETRIEVAL, Evaluation
from rag_pipeline.evaluation.standing import findable
from rag_pipeline.index.generations import Generation
from rag_pipeline.query import Index
from rag_pipeline.settings import Settings

_PATIENCE = 30.0
"""Seconds for a question to be re-ranked, at least: nobody waits for it, and one that takes longer ends all."""


class GateClosed(PermanentError):
    """The candidate has not passed. `verdict` names the means and the questions that fell, or those that are lost."""

    def __init__(self, message: str, verdict: Verdict) -> None:
        super().__init__(message)
        self.verdict = verdict


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found in a generation, and what follows from it."""

    generation: int
    evaluation: Evaluation
    verdict: Verdict


def judge(
    connection: Connection[Any],
    generation: Generation,
    index: Index,
    golden: GoldenSet,
    baseline: Baseline,
    max_drop: float,
    reranked: bool = False,
) -> Judgement:
    """Ask an index for what a golden set expects, and compare what it finds with a baseline.

    The session's unqualified tables are those of the generation that `index` searches. Raises as `search_all` does.
    """
    questions, gone = findable(connection, generation.number, golden.questions)
    evaluation = Evaluation(tuple(search_all(index, questions, gone, reranked=reranked)), generation.recipe.model)
    return Judgement(generation.number, evaluation, compare(baseline.questions, evaluation, max_drop, RETRIEVAL))


class RetrievalGate:
    """The golden set and the baseline of the settings, with the questions embedded; it judges one publication."""

    def __init__(self, settings: Settings, embedder: Embedder) -> None:
        """Read both files and embed the questions, so that nobody waits for that while it is asked.

        Raises `ConfigurationError` for a file that is missing or wrong, and what the model raises.
        """
        assert settings.evaluation.set is not None
        assert settings.evaluation.baseline is not None
        patient = {"rerank_seconds": max(_PATIENCE, settings.retrieval.rerank_seconds)}
        self._settings = settings.model_copy(update={"retrieval": settings.retrieval.model_copy(update=patient)})
        self._golden = GoldenSet.read(settings.folder / settings.evaluation.set)
        self._baseline = baseline_of(self._golden, settings.folder / settings.evaluation.baseline)
        self._vectors = QuestionVectors(embedder, self._golden.questions)
        self._judgement: Judgement | None = None

    @property
    def verdict(self) -> Verdict | None:
        """What it said, if it was asked."""
        return self._judgement and self._judgement.verdict

    def at_refresh(self, connection: Connection[Any], generation: Generation, source: str) -> None:
        """Let what a refresh has written into the live generation through. Raises `GateClosed`."""
        index = candidate(connection, self._settings, self._vectors)
        self._decide(
            connection,
            generation,
            index,
            f"source {source}: nothing was published, save that what it has lost or shut to readers is hidden from "
            "them",
            f"RAG_EVALUATION__MAX_DROP=1 rag-pipeline refresh --source {source}",
        )

    def at_flip(self, connection: Connection[Any], live: Generation, other: Generation) -> None:
        """Let another generation take the place of the live one; the session is on its tables. Raises `GateClosed`."""
        with trial(connection, live.number, other.number) as queries:
            index = candidate(connection, self._settings, self._vectors, queries)
            self._decide(
                connection,
                other,
                index,
                f"generation {other.number} is not published",
                "rag-pipeline migrate publish --force",
            )

    @contextmanager
    def recorded(
        self, connection: Connection[Any], purpose: Purpose, run_id: str | None = None, source: str | None = None
    ) -> Iterator[None]:
        """Write down what it found inside the block, once that has ended, well or by `GateClosed`."""
        try:
            yield
        except GateClosed:
            self._record(connection, purpose, run_id, source)
            raise
        self._record(connection, purpose, run_id, source)

    def _record(self, connection: Connection[Any], purpose: Purpose, run_id: str | None, source: str | None) -> None:
        if self._judgement is not None:
            record(
                connection,
                purpose,
                self._golden,
                self._judgement.evaluation,
                self._judgement.verdict,
                self._judgement.generation,
                self._settings.workspace.keep_days,
                run_id,
                source,
            )

    def _decide(
        self, connection: Connection[Any], generation: Generation, index: Index, outcome: str, way_out: str
    ) -> None:
        max_drop = self._settings.evaluation.max_drop
        reranked = self._settings.retrieval.rerank
        try:
            self._judgement = judge(connection, generation, index, self._golden, self._baseline, max_drop, reranked)
        except TransientError as error:
            raise TransientError(
                f"{outcome}, because nothing can be said of how it would be searched: {error}"
            ) from error
        verdict = self._judgement.verdict
        if not verdict.passed:
            reason = (
                "it would be searched worse than the baseline allows" if verdict.judged else "nothing can be judged"
            )
            raise GateClosed(
                f"{outcome}, because {reason}: {verdict.explained()}. "
                f"Readers have what they had. If that is meant: {way_out}, and then rag-pipeline eval "
                f"--write-baseline {self._settings.evaluation.baseline}",
                verdict,
            )


def open_gate(settings: Settings, embedder: Embedder) -> RetrievalGate | None:
    """Return the gate of the settings, None where it is off. Raises as `RetrievalGate` does."""
    return RetrievalGate(settings, embedder) if settings.evaluation.gated else None
