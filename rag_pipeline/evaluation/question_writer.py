"""Questions that a model writes for sections; what it writes is believed as far as one line, and read by a person."""

import logging
import re
import secrets
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from rag_pipeline.embeddings.openai.tokens import count_tokens
from rag_pipeline.evaluation.draft import Unasked
from rag_pipeline.query.chat import ChatModel, Unwritten
from rag_pipeline.query.plain import line, plain
from rag_pipeline.query.spending import Spending, Unaffordable

if TYPE_CHECKING:
    from rag_pipeline.settings import Settings

_logger = logging.getLogger(__name__)
_INSTRUCTIONS = Template(Path(__file__).with_name("question.md").read_text("utf-8").strip())
_ESTIMATE = 1.5
"""A model of others may make this many times as many tokens of a text as are counted here, at most."""

_LONGEST = 300
"""Characters of a question."""


class QuestionWriter:
    """The model of ``[answers]``, asked for a question a section. Its cost is in the ledger, as ``draft``."""

    def __init__(self, settings: "Settings", model: str) -> None:
        """Open it; nothing is contacted yet. Raises `ConfigurationError`."""
        self._answer_tokens = settings.answers.answer_tokens
        self._chat = ChatModel(settings.answers, model)
        self._spending = Spending(settings, model)

    def __call__(self, section: Unasked) -> str | None:
        """Return a question that the section answers; None when the model gives none."""
        name, text = plain(" > ".join(section.heading_path) or section.title), plain(section.text)
        fence = secrets.token_hex(16)
        while fence in name or fence in text:
            fence = secrets.token_hex(16)
        instructions = _INSTRUCTIONS.substitute(fence=fence)
        message = f"<document {fence}>\n{name}\n\n{text}\n</document {fence}>"
        read = sum(count_tokens([instructions, message]))
        try:
            with self._spending.purchase(int(read * _ESTIMATE), self._answer_tokens) as purchase:
                came = self._chat.write(instructions, message, lambda _: None)
                if isinstance(came, Unwritten):
                    _logger.warning(
                        "no question for a section of %r, because %s: %s", section.document, came.because, came.detail
                    )
                    read, wrote = (read, count_tokens([came.text])[0]) if came.charged else (0, 0)
                else:
                    read = read if came.read is None else came.read
                    wrote = count_tokens([came.text])[0] if came.wrote is None else came.wrote
                cost = self._spending.cost(read, wrote)
                purchase.book(read + wrote, cost, of_use=not isinstance(came, Unwritten), purpose="draft")
        except Unaffordable as reason:
            _logger.warning("no question for a section of %r: %s", section.document, reason)
            return None
        return None if isinstance(came, Unwritten) else _question(came.text)


def _question(text: str) -> str | None:
    """Return the first line that asks something, without what models put around it; None for none."""
    for written in text.splitlines():
        asked = re.sub(r"^(?:[-*>#\s]+|\d+[.)]\s+|(?i:question)\s*:\s*)+", "", line(written)).strip("*_`\"“”„' ")
        if asked.endswith(("?", "？", "؟")) and len(asked) <= _LONGEST:
            return asked
    return None
