"""What an evaluation found, kept in ``rag.evaluations``: figures for good, what was found and answered for a while."""

from dataclasses import asdict
from decimal import Decimal
from typing import Any, Literal

from psycopg import Connection

from rag_pipeline.database.statements import statements
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.evaluation.compare import Verdict
from rag_pipeline.evaluation.golden import GoldenSet
from rag_pipeline.evaluation.results import Answered, Evaluation, Gone, Result
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
        "results": storable_json({result.id: row_of(result) for result in evaluation.results}),
    }
    with connection.transaction():
        (evaluation_id,) = connection.execute(queries["record"], values).fetchone() or (0,)
        connection.execute(queries["forget_old_results"], {"keep_days": keep_days})
    return evaluation_id


def recorded(connection: Connection[Any], evaluation_id: int) -> tuple[Evaluation, str]:
    """Return an evaluation that was written down, without its prompt, and the hash of its golden set.

    Raises `ConfigurationError` when there is none of this number, or what was found in it is kept no longer.
    """
    query = statements("evaluation")["recorded"]
    row = connection.execute(query, {"evaluation_id": evaluation_id}).fetchone()
    if row is None or row[3] is None:
        why = "is not there" if row is None else "is too old: what was found is kept for [workspace] keep_days"
        raise ConfigurationError(
            f"evaluation {evaluation_id} {why}; the others are in rag.evaluation_history, and those that are to be "
            "compared for longer belong into a file: rag-pipeline eval --write-baseline FILE"
        )
    set_hash, model, answered_by, results = row
    return Evaluation(tuple(_result(each) for each in results.values()), model, answered_by), set_hash


def row_of(result: Result) -> dict[str, Any]:
    """Return a result as JSON has it."""
    row: dict[str, Any] = asdict(result) | {"seconds": round(result.seconds, 4)}
    if result.answered is not None:
        cost = result.answered.cost_usd
        row["answered"]["cost_usd"] = None if cost is None else float(cost)
    return row


def _result(row: dict[str, Any]) -> Result:
    """Return the result that `row_of` made a row of."""
    tuples = {name: tuple(row[name]) for name in ("found", "chunks", "places", "ranks")}
    gone = tuple(Gone(**each) for each in row["gone"])
    answered = row["answered"]
    if answered is not None:
        cost = None if answered["cost_usd"] is None else Decimal(str(answered["cost_usd"]))
        answered = Answered(**answered | {"citations": tuple(answered["citations"]), "cost_usd": cost})
    values: dict[str, Any] = row | tuples | {"gone": gone, "answered": answered}
    return Result(**values)
