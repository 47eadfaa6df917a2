"""A model as a judge: how much of the accepted answer an answer says; a number of one line, or no judgement."""

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from rag_pipeline.evaluation.asked import AskedModel
from rag_pipeline.evaluation.golden import Question
from rag_pipeline.evaluation.results import Result
from rag_pipeline.progress import Progress, silent
from rag_pipeline.query.plain import plain

if TYPE_CHECKING:
    from rag_pipeline.settings import Settings

_logger = logging.getLogger(__name__)
_INSTRUCTIONS = Template(Path(__file__).with_name("judge.md").read_text("utf-8").strip())
_BEST = 4


class Judge:
    """The model of ``[answers]``, which may judge itself. Its cost is in the ledger, as ``judge``."""

    def __init__(self, settings: "Settings", model: str) -> None:
        """Open it; nothing is contacted yet. Raises `ConfigurationError`."""
        self._model = AskedModel(settings, model, "judge")

    def judged(
        self, results: Iterable[Result], questions: Mapping[str, Question], progress: Progress = silent
    ) -> tuple[Result, ...]:
        """Return the results with a judgement where a question has an accepted answer, and was scored and answered.

        Whoever abstains says nothing of it. `questions` are by id.
        """
        judged = tuple(results)
        found: list[Result] = []
        for number, result in enumerate(judged, 1):
            score = self._score(result, questions[result.id])
            found.append(result if score is None else replace(result, scores={**result.scores, "judge_score": score}))
            progress("judgements", number, len(judged))
        return tuple(found)

    def _score(self, result: Result, question: Question) -> float | None:
        if question.answer is None or result.answered is None or "abstention" not in result.scores:
            return None
        if result.answered.abstained or result.answered.text is None:
            return 0.0
        texts = (question.text, question.answer, result.answered.text)
        written, why = self._model.ask(_INSTRUCTIONS, *map(plain, texts))
        number = None if written is None else re.match(rf"\W*([0-{_BEST}])\b(?![.,]\d)", written)
        if number is None:
            _logger.warning("no judgement of the answer to %r: %s", result.id, why or "it is no number")
            return None
        return int(number[1]) / _BEST
