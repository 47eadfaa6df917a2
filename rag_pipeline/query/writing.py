"""Answers that a model writes from excerpts, and what is believed of them."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from rag_pipeline.embeddings.openai.tokens import count_tokens
from rag_pipeline.query.answer import NOT_KNOWN, Answer, Citation
from rag_pipeline.query.chat import ChatModel, Unwritten, Written
from rag_pipeline.query.citations import Reader, best_hit
from rag_pipeline.query.excerpts import Excerpt, excerpts
from rag_pipeline.query.hits import Hits
from rag_pipeline.query.prompt import Instructions, Prompt
from rag_pipeline.query.spending import Purchase, Spending, Unaffordable
from rag_pipeline.query.unwritten import quoted

if TYPE_CHECKING:
    from rag_pipeline.settings import Settings

OnText = Callable[[str], None]
"""Called with the pieces of an answer as they come; together they are its text."""

_logger = logging.getLogger(__name__)
_ESTIMATE = 1.5
"""A model of others may make this many times as many tokens of a text as are counted here, at most."""


@dataclass(frozen=True, slots=True)
class _Bought:
    """What came of asking a model: the text as it was read, and what that took; `failed` says why there is none."""

    read: Reader
    model: str
    tokens: int
    cost_usd: Decimal | None
    cut: bool = False
    failed: str | None = None


class Writer:
    """The model of the settings with its prompt. Any number of threads may use it at once."""

    def __init__(self, settings: "Settings", model: str) -> None:
        """Open it; nothing is contacted yet. Raises `ConfigurationError`."""
        answers = settings.answers
        self._settings = answers
        self._instructions = Instructions.read(settings.folder / answers.prompt if answers.prompt else None)
        self._chat = ChatModel(answers, model)
        self._spending = Spending(settings, model)

    def answer(self, question: str, hits: Hits, on_text: OnText | None) -> Answer:
        """Return what the model answers from these hits; without `seconds`."""
        shown = excerpts(hits, self._settings.context_tokens, count_tokens)
        prompt = self._instructions.prompt(question, shown)
        read = sum(count_tokens([prompt.instructions, prompt.question]))
        try:
            with self._spending.purchase(int(read * _ESTIMATE), self._settings.answer_tokens) as purchase:
                bought = self._bought(prompt, shown, read, purchase, on_text)
        except Unaffordable as reason:
            return quoted(hits, str(reason))
        return self._judged(bought, hits)

    def _bought(
        self, prompt: Prompt, shown: Sequence[Excerpt], read: int, purchase: Purchase, on_text: OnText | None
    ) -> _Bought:
        """Ask the model, reading what it writes as it comes, and book what it took."""
        reader = Reader(shown, prompt.tag)

        def show(text: str) -> None:
            if text and on_text is not None:
                on_text(text)

        came = self._chat.write(prompt.instructions, prompt.question, lambda piece: show(reader.feed(piece)))
        show(reader.end())
        match came:
            case Written(text, model, told_read, told_wrote, cut):
                wrote = told_wrote if told_wrote is not None else count_tokens([text])[0]
                read = told_read if told_read is not None else read
                failed = None
            case Unwritten(because, detail, charged, text):
                _logger.warning("the model of [answers] gave no answer, because %s: %s", because, detail)
                model, cut, failed = self._chat.model, False, because
                read, wrote = (read, count_tokens([text])[0]) if charged else (0, 0)
        cost = self._spending.cost(read, wrote)
        purchase.book(read + wrote, cost, of_use=failed is None)
        return _Bought(reader, model, read + wrote, cost, cut, failed)

    def _judged(self, bought: _Bought, hits: Hits) -> Answer:
        """Return an answer with its citations and with what is to be said against it."""
        read, notes = bought.read, list(hits.notes)
        citations = [
            Citation.of(number, excerpt.hits[best_hit(excerpt, read.context(number))], hits.as_of)
            for number, excerpt in sorted(read.cited.items())
        ]
        abstained = not citations and _is_not_known(read.text)
        if bought.failed is not None:
            notes.append(f"the model gave no answer, because {bought.failed}; these are the passages that were found")
        else:
            if bought.cut:
                notes.append(f"the answer ends at [answers] answer_tokens = {self._settings.answer_tokens}")
            if read.unknown:
                notes.append(f"{read.unknown} citations of nothing that the model was shown were taken out: [?]")
            if read.addresses:
                notes.append(f"{read.addresses} addresses that stand in none of the documents were taken out")
            if not citations and not abstained:
                notes.append("nothing in this answer is cited: do not rely on it")
        return Answer(
            answer=None if bought.failed is not None else NOT_KNOWN if abstained else read.text.strip(),
            abstained=abstained and bought.failed is None,
            citations=() if bought.failed is not None else tuple(citations),
            cached=False,
            as_of=hits.as_of,
            model=bought.model,
            tokens=bought.tokens,
            cost_usd=bought.cost_usd,
            seconds=0.0,
            hits=hits,
            notes=tuple(notes),
            prompt_version=self._instructions.version,
        )


def _is_not_known(text: str) -> bool:
    """Tell whether a text begins with the words for it, however they are spelled."""
    return _letters(text).startswith(_letters(NOT_KNOWN))


def _letters(text: str) -> str:
    return "".join(filter(str.isalpha, text.lower()))
