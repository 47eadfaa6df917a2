"""The model of ``[answers]``, asked for something short that is no answer to a caller; its cost is in the ledger."""

import secrets
from string import Template
from typing import TYPE_CHECKING

from rag_pipeline.embeddings.openai.tokens import count_tokens
from rag_pipeline.query.chat import ChatModel, Unwritten
from rag_pipeline.query.spending import Spending, Unaffordable

if TYPE_CHECKING:
    from rag_pipeline.settings import Settings

_ESTIMATE = 1.5
"""A model of others may make this many times as many tokens of a text as are counted here, at most."""


class AskedModel:
    """One model, asked for one `purpose`, as the ledger names it."""

    def __init__(self, settings: "Settings", model: str, purpose: str) -> None:
        """Open it; nothing is contacted yet. Raises `ConfigurationError`."""
        self._answer_tokens = settings.answers.answer_tokens
        self._chat = ChatModel(settings.answers, model)
        self._spending = Spending(settings, model)
        self._purpose = purpose

    def ask(self, instructions: Template, *documents: str) -> tuple[str | None, str]:
        """Return what it wrote about some texts, each between borders of its own that it cannot know; or None, and why.

        `instructions` name the borders as ``$fence``. The texts are plain already.
        """
        fence = secrets.token_hex(16)
        while any(fence in text for text in documents):
            fence = secrets.token_hex(16)
        told = instructions.substitute(fence=fence)
        message = "\n".join(f"<document {fence}>\n{text}\n</document {fence}>" for text in documents)
        read = sum(count_tokens([told, message]))
        try:
            with self._spending.purchase(int(read * _ESTIMATE), self._answer_tokens) as purchase:
                came = self._chat.write(told, message, lambda _: None)
                failed = isinstance(came, Unwritten)
                if failed:
                    read, wrote = (read, count_tokens([came.text])[0]) if came.charged else (0, 0)
                else:
                    read = read if came.read is None else came.read
                    wrote = count_tokens([came.text])[0] if came.wrote is None else came.wrote
                cost = self._spending.cost(read, wrote)
                purchase.book(read + wrote, cost, of_use=not failed, purpose=self._purpose)
        except Unaffordable as reason:
            return None, str(reason)
        return (None, f"{came.because}: {came.detail}") if isinstance(came, Unwritten) else (came.text, "")
