"""The baseline: the scores of a golden set that a later run may not fall far below, kept with the sources in a file.

It is for people to read when it changes: sorted, one question a line.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.evaluation.golden import GoldenSet
from rag_pipeline.evaluation.results import METRICS, RETRIEVAL, Evaluation

_FORMAT = 1
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Baseline:
    """Scores by question and metric, and what they were measured with."""

    questions: Mapping[str, Mapping[str, float]]
    model: str
    answered_by: str | None
    prompt: str | None

    def comparable(self, evaluation: Evaluation) -> tuple[str, ...]:
        """Return the metrics by which an evaluation can be compared: of answers only if the same model wrote them."""
        return METRICS if evaluation.answered_by == self.answered_by else RETRIEVAL


def write_baseline(path: Path, evaluation: Evaluation) -> None:
    """Write the scores of an evaluation. Raises `ConfigurationError` when the file cannot be written."""
    head = {
        "format": _FORMAT,
        "model": evaluation.model,
        "answered_by": evaluation.answered_by,
        "prompt": evaluation.prompt,
        "means": _rounded(evaluation.means),
    }
    lines = [f"  {json.dumps(name)}: {json.dumps(value)},\n" for name, value in head.items()]
    questions = ",\n".join(
        f"    {json.dumps(result.id, ensure_ascii=False)}: {json.dumps(_rounded(result.scores))}"
        for result in sorted(evaluation.results, key=lambda result: result.id)
    )
    try:
        path.write_text("{\n" + "".join(lines) + '  "questions": {\n' + questions + "\n  }\n}\n", "utf-8")
    except OSError as error:
        raise ConfigurationError(f"the baseline cannot be written: {error}") from error


def baseline_of(golden: GoldenSet, path: Path) -> Baseline:
    """Read the baseline of a golden set. Raises `ConfigurationError` for one of another: nothing could ever fall."""
    baseline = read_baseline(path)
    if baseline.questions.keys().isdisjoint(question.id for question in golden.questions):
        raise ConfigurationError(
            f"{path} has none of the questions of {golden.name}, so that nothing can be compared; name the baseline "
            f"that was written with this golden set, or write one: {_HOW}"
        )
    return baseline


def read_baseline(path: Path) -> Baseline:
    """Read what `write_baseline` wrote. Raises `ConfigurationError` for a file that is not one."""
    try:
        found = json.loads(path.read_text("utf-8"))
        return _baseline(found)
    except OSError as error:
        raise ConfigurationError(f"the baseline cannot be read: {error}; write one: {_HOW}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigurationError(f"{path} is no baseline of this version; write one anew: {_HOW}") from error


_HOW = "rag-pipeline eval --write-baseline FILE (until then leave [evaluation] baseline out)"


def _baseline(found: Any) -> Baseline:
    if found["format"] != _FORMAT:
        raise ValueError
    questions = {
        str(id): {str(metric): float(value) for metric, value in scores.items()}
        for id, scores in found["questions"].items()
    }
    if any(
        metric not in METRICS or not 0 <= value <= 1 for each in questions.values() for metric, value in each.items()
    ):
        raise ValueError
    return Baseline(questions, str(found["model"]), found["answered_by"], found["prompt"])


def _rounded(scores: Mapping[str, float]) -> dict[str, float]:
    return {metric: round(scores[metric], _DIGITS) for metric in METRICS if metric in scores}
