"""Answers that a model writes from excerpts, and what is believed of them."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from rag_pipeline.embeddings.openai.tokens import count_tokens
from rag_pipeline.query.answer import NOT_KNOWN, Answer, Citation
from rag_pipeline.query.cache import CachedAnswer, KeptAnswers, Turn, Turns, cache_key
from rag_pipeline.query.chat import ChatModel, Unwritten, Written
from rag_pipeline.query.citations import KEPT_TAG, Reader, best_hit
from rag_pipeline.query.excerpts import Excerpt, excerpts, texts_of
from rag_pipeline.query.explain import Steps
from rag_pipeline.query.hits import Hits
from rag_pipeline.query.prompt import Instructions, Prompt
from rag_pipeline.query.question import Asking
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
class _Call:
    """One question that is being answered: what was found for it, what of it a model is shown, and who listens."""

    asking: Asking
    hits: Hits
    shown: Sequence[Excerpt]
    steps: Steps
    on_text: OnText | None


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

    def __init__(self, settings: "Settings", model: str, kept: KeptAnswers | None) -> None:
        """Open it; nothing is contacted yet. Raises `ConfigurationError`."""
        answers = settings.answers
        self._settings = answers
        self._retrieval = settings.retrieval
        self._kept = kept if kept and kept.is_on else None
        self._turns = Turns()
        self._instructions = Instructions.read(settings.folder / answers.prompt if answers.prompt else None)
        self._chat = ChatModel(answers, model)
        self._spending = Spending(settings, model)

    def answer(self, asking: Asking, hits: Hits, on_text: OnText | None) -> Answer:
        """Return what the model answers from these hits, now or once before; without `seconds`."""
        steps = Steps()
        with steps.step("prompt", len(hits.windows)) as step:
            shown = excerpts(hits, self._settings.context_tokens, count_tokens)
            step.kept = len(shown)
        call = _Call(asking, hits, shown, steps, on_text)
        if self._kept is None or hits.generation is None:
            answer = self._anew(call, Turn())
        else:
            with self._turns.take(self._key(call), self._settings.seconds) as turn:
                answer = self._again(call, turn, self._kept) or self._anew(call, turn)
        return replace(answer, layers=steps.layers)

    def _again(self, call: _Call, turn: Turn, cache: KeptAnswers) -> Answer | None:
        """Return the answer that was kept or just made, its citations read anew; None where there is none.

        Why another who asked the same at the same moment got no answer holds for this question as well.
        """
        hits, shown, question = call.hits, call.shown, call.asking.text
        if isinstance(turn.came, str):
            return self._judged(
                _Bought(Reader(shown, KEPT_TAG), self._chat.model, 0, Decimal(0), failed=turn.came), hits
            )
        with call.steps.step("cache") as step:
            step.detail = "not found"
            kept = cache.find(turn.key or "", _chunk_ids(hits), call.asking.caller, hits.generation or 0, turn.came)
            if kept is None:
                return None
            reader = _reread(kept.text, shown, question)
            if reader.unknown:
                return None
            step.detail = "found"
        if call.on_text is not None:
            call.on_text(reader.text)
        with call.steps.step("citations", len(reader.cited)):
            answer = self._judged(_Bought(reader, kept.model, 0, Decimal(0)), hits)
        cache.given(kept)
        return replace(answer, cached=True, notes=(*hits.notes, *kept.notes))

    def _anew(self, call: _Call, turn: Turn) -> Answer:
        """Have the model write an answer, and keep it for whoever asks the same, later or now."""
        asking, hits, shown, steps = call.asking, call.hits, call.shown, call.steps
        prompt = self._instructions.prompt(asking.text, shown)
        read = sum(count_tokens([prompt.instructions, prompt.question]))
        try:
            with (
                steps.step("model"),
                self._spending.purchase(int(read * _ESTIMATE), self._settings.answer_tokens) as purchase,
            ):
                reader = Reader(shown, prompt.tag, asking.text)
                bought = self._bought(prompt, reader, read, purchase, call.on_text, turn.seconds)
        except Unaffordable as reason:
            return quoted(hits, str(reason))
        with steps.step("citations", len(bought.read.cited) + bought.read.unknown) as step:
            answer = self._judged(bought, hits)
            step.kept = len(answer.citations)
        if bought.failed is not None:
            turn.came = bought.failed
        elif self._kept is not None and turn.key is not None:
            kept = CachedAnswer(
                text=bought.read.kept,
                chunk_ids=tuple(citation.chunk_id for citation in answer.citations),
                notes=answer.notes[len(hits.notes) :],
                model=bought.model,
                tokens=bought.tokens,
                cost_usd=bought.cost_usd,
            )
            # What would read otherwise the next time, as where a model quotes our own marks, is not kept.
            if _reread(kept.text, shown, asking.text).text == bought.read.text:
                turn.came = kept
                self._kept.keep(turn.key, kept, asking.caller)
        return answer

    def _key(self, call: _Call) -> str:
        asking, hits, retrieval = call.asking, call.hits, self._retrieval
        return cache_key(
            question=asking.text,
            caller=asking.caller,
            filters=asking.filters,
            k=asking.k,
            reranker=f"{retrieval.rerank_url or ''} {retrieval.rerank_model}" if hits.reranked else None,
            generation=hits.generation or 0,
            chunk_ids=_chunk_ids(hits),
            passages=texts_of(call.shown),
            model=self._chat.model,
            parameters=self._chat.parameters,
            prompt_version=self._instructions.version,
        )

    def _bought(
        self,
        prompt: Prompt,
        reader: Reader,
        read: int,
        purchase: Purchase,
        on_text: OnText | None,
        seconds: float | None,
    ) -> _Bought:
        """Ask the model, reading what it writes as it comes, and book what it took."""

        def show(text: str) -> None:
            if text and on_text is not None:
                on_text(text)

        came = self._chat.write(prompt.instructions, prompt.question, lambda piece: show(reader.feed(piece)), seconds)
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


def _chunk_ids(hits: Hits) -> list[str]:
    return [hit.chunk_id for hit in hits]


def _reread(text: str, shown: Sequence[Excerpt], question: str) -> Reader:
    """Read a text that was kept."""
    reader = Reader(shown, KEPT_TAG, question)
    reader.feed(text)
    reader.end()
    return reader


def _is_not_known(text: str) -> bool:
    """Tell whether a text begins with the words for it, however they are spelled."""
    return _letters(text).startswith(_letters(NOT_KNOWN))


def _letters(text: str) -> str:
    return "".join(filter(str.isalpha, text.lower()))
