"""Results for tests that need no index."""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from rag_pipeline.evaluation.results import Answered, Evaluation, Gone, Result

EMPTY: Mapping[str, float] = MappingProxyType({})


def result(
    id: str, scores: Mapping[str, float] = EMPTY, gone: tuple[Gone, ...] = (), evidence: float | None = None
) -> Result:
    """What came of a question that expected one place; of one without scores nothing was expected."""
    return Result(
        id=id,
        question=f"what is {id}?",
        scores=dict(scores),
        found=("docs:a.md > A",),
        chunks=("aa-bb",),
        places=("docs:b.md",) if scores and not gone else (),
        ranks=(None,) if scores and not gone else (),
        seconds=0.01,
        gone=gone,
        evidence=evidence,
        answered=Answered("text", False, (), 3, Decimal("0.001")),
    )


def evaluation(scores: Mapping[str, Mapping[str, float]], answered_by: str | None = None) -> Evaluation:
    """Results with these scores, by question and metric."""
    return Evaluation(tuple(result(id, each) for id, each in scores.items()), "model", answered_by)
