"""What an evaluation found, kept in ``rag.evaluations``: figures for good, what was found and answered for a while."""

from dataclasses import asdict
from typing import Any, Literal

from psycopg import Connection

from rag_pipeline.database.statements import statements
from rag_pipeline.evaluation.compare import Verdict
from rag_pipeline.evaluation.golden import GoldenSet
from rag_pipeline.evaluation.results import Evaluation
from rag_pipeline.storable import storable_json

Purpose = Literal["eval", "refresh", "migration"]


def record(
    connection: Connection[Any],
    purpose: Purpose,
    golden: GoldenSet,
    evaluation: Evaluation,
    verdict: Verdict | None,
    generation: int,
    keep_days: int,
    run_id: str | None = None,
    source: str | None = None,
) -> int:
    """Write an evaluation down, with the verdict on it, if there was a baseline; return its id."""
    queries = statements("evaluation")
    values = evaluation.summary() | {
        "purpose": purpose,
        "run_id": run_id,
        "source": source,
        "generation": generation,
        "model": evaluation.model,
        "answered_by": evaluation.answered_by,
        "golden_set": golden.name,
        "set_hash": golden.digest,
        "passed": None if verdict is None else verdict.passed,
        "max_drop": None if verdict is None else verdict.max_drop,
        "fell": None if verdict is None else [change.question for change in verdict.fell],
        "results": storable_json({result.id: _plain(result) for result in evaluation.results}),
    }
    with connection.transaction():
        (evaluation_id,) = connection.execute(queries["record"], values).fetchone() or (0,)
        connection.execute(queries["forget_old_results"], {"keep_days": keep_days})
    return evaluation_id


def _plain(result: Any) -> Any:
    """Return a result as JSON has it."""
    row = asdict(result) | {"seconds": round(result.seconds, 4)}
    if result.answered is not None:
        cost = result.answered.cost_usd
        row["answered"]["cost_usd"] = None if cost is None else float(cost)
    return row
