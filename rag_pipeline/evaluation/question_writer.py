"""Questions that a model writes for sections; what it writes is believed as far as one line, and read by a person."""

import logging
import re
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from rag_pipeline.evaluation.asked import AskedModel
from rag_pipeline.evaluation.draft import Unasked
from rag_pipeline.query.plain import line, plain

if TYPE_CHECKING:
    from rag_pipeline.settings import Settings

_logger = logging.getLogger(__name__)
_INSTRUCTIONS = Template(Path(__file__).with_name("question.md").read_text("utf-8").strip())
_LONGEST = 300
"""Characters of a question."""


class QuestionWriter:
    """The model of ``[answers]``, asked for a question a section. Its cost is in the ledger, as ``draft``."""

    def __init__(self, settings: "Settings", model: str) -> None:
        """Open it; nothing is contacted yet. Raises `ConfigurationError`."""
        self._model = AskedModel(settings, model, "draft")

    def __call__(self, section: Unasked) -> str | None:
        """Return a question that the section answers; None when the model gives none."""
        name, text = plain(" > ".join(section.heading_path) or section.title), plain(section.text)
        written, why = self._model.ask(_INSTRUCTIONS, f"{name}\n\n{text}")
        if written is None:
            _logger.warning("no question for a section of %r, because %s", section.document, why)
            return None
        return _question(written)


def _question(text: str) -> str | None:
    """Return the first line that asks something, without what models put around it; None for none."""
    for written in text.splitlines():
        asked = re.sub(r"^(?:[-*>#\s]+|\d+[.)]\s+|(?i:question)\s*:\s*)+", "", line(written)).strip("*_`\"“”„' ")
        if asked.endswith(("?", "？", "؟")) and len(asked) <= _LONGEST:
            return asked
    return None
