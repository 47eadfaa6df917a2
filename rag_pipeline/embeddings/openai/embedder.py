"""The embedder over a service: names, sizes, questions, and the sample by which a changed model is noticed."""

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property

from rag_pipeline.embeddings import Batch, Reserve, Sample, Vector, unbounded
from rag_pipeline.embeddings.drift import difference, model_changed
from rag_pipeline.embeddings.openai.buying import Buyer
from rag_pipeline.embeddings.openai.outcomes import Answered, Failed, Heard, Outcome, Refused, Stopped
from rag_pipeline.embeddings.openai.packing import Bounds, Request, packed
from rag_pipeline.embeddings.openai.service import Address, Service
from rag_pipeline.embeddings.openai.tokens import count_tokens
from rag_pipeline.embeddings.prices import hosted_name
from rag_pipeline.errors import ConfigurationError, PermanentError, RagError, TransientError
from rag_pipeline.settings import Embedding

_DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
"""Full length of OpenAI's own; those of the third generation are shortened on request."""

_MOST_DIMENSIONS = 4_000
"""What an index over half-precision vectors holds."""

SAMPLE = "The harbour master keeps the tide tables."
_NONSENSE = 3
_QUESTION_SECONDS = 20.0
_DELAY, _LONGEST_DELAY = 0.25, 20.0


class OpenAIEmbedder:
    """A model of a service. Nothing is contacted, and no key is read, before the first text is embedded.

    Every request carries the sample as its last text: an answer is taken only if that one has the vector that it had
    when the run began, so that neither another model nor another order goes unnoticed.
    """

    def __init__(self, settings: Embedding, expected: Sample | None = None) -> None:
        """Take what the sample was when the index was made, if questions are to be compared with it.

        Raises `ConfigurationError` when the length of the vectors is not known, or too large for the index."""
        full = _DIMENSIONS.get(settings.model)
        dimensions = settings.dimensions or full
        if dimensions is None:
            raise ConfigurationError(
                f"embedding.dimensions: missing; write how many numbers a vector of {settings.model!r} has; "
                f"known without it: {', '.join(_DIMENSIONS)}"
            )
        if dimensions > (most := min(_MOST_DIMENSIONS, full or _MOST_DIMENSIONS)):
            raise ConfigurationError(
                f"embedding.dimensions: {dimensions} is too much; of {settings.model!r} the index holds {most}"
            )
        self._settings = settings
        self._exact = full is not None
        self.dimensions = dimensions
        self.model = hosted_name(settings.model, settings.revision, dimensions)
        shortened = full is not None and dimensions < full
        self._address = Address(settings.base_url, settings.model, dimensions, settings.send_dimensions or shortened)
        self._sample: Sample | None = None
        self._expected = expected

    @cached_property
    def _service(self) -> Service:
        return Service(self._address, self._settings.request_seconds)

    def count_tokens(self, texts: list[str]) -> list[int]:
        """Count as OpenAI's models do; for models of others this is an estimate."""
        return count_tokens(texts)

    def embed(self, texts: Iterable[str], reserve: Reserve = unbounded, known: int = 0) -> Iterator[Batch]:
        """Yield vectors by requests, several at a time, as answers come in.

        Raises `ConfigurationError` (key, address), `PermanentError` (no credit, no usable answers, another model) and
        `TransientError` (no answers for too long); what was bought until then has been yielded.
        """
        settings = self._settings
        watched = _Watched(self._service, self._sample or self.sample(), self.model, self._exact)
        bounds = Bounds(settings.batch_texts - 1, settings.batch_tokens, count_tokens([SAMPLE])[0])
        requests = packed(texts, count_tokens, bounds)
        buyer = Buyer(watched, self.dimensions, settings.requests_at_once, settings.give_up_seconds, reserve, known)
        return buyer.buy(requests)

    def embed_query(self, text: str) -> Vector:
        """Return the vector of a question, soon or not at all.

        Raises `TransientError` when the service does not answer in time, `PermanentError` when it does not take the
        question, gives nonsense or has another model, and `ConfigurationError` for its key and address.
        """
        answer, _ = self._asked([text, SAMPLE], _QUESTION_SECONDS)
        now = Sample(answer.vectors[1], answer.answered_as, 0)
        if what := difference(self._expected or self._sample or now, now):
            raise model_changed(self.model, what, "Its vector of the question was not used")
        self._sample = self._sample or now
        return answer.vectors[0]

    def sample(self, reserve: Reserve = unbounded) -> Sample:
        """Embed the sample. From now on every answer must agree with it.

        Raises as `embed_query` does, within ``give_up_seconds``.
        """
        answer, tokens = self._asked([SAMPLE], self._settings.give_up_seconds, reserve)
        self._sample = Sample(answer.vectors[0], answer.answered_as, tokens)
        return self._sample

    def _asked(self, texts: list[str], seconds: float, reserve: Reserve = unbounded) -> tuple[Answered, int]:
        """Return the answer for a few texts, and the tokens of all attempts, which an error has as well."""
        attempts = _Attempts()
        try:
            return self._attempted(texts, time.monotonic() + seconds, reserve, attempts), attempts.tokens
        except RagError as error:
            error.tokens = attempts.tokens
            raise

    def _attempted(self, texts: list[str], deadline: float, reserve: Reserve, attempts: "_Attempts") -> Answered:
        sizes = count_tokens(texts) if self._exact else [len(text.encode("utf-8", "replace")) + 1 for text in texts]
        most = sum(sizes)
        failures = nonsense = 0
        while True:
            reserve(most)
            seconds = deadline - time.monotonic()
            future = self._service.send(texts)
            try:
                outcome = future.result(max(0.0, seconds)).outcome
            except TimeoutError:
                future.cancel()
                outcome = Failed(f"no answer within {seconds:g} seconds", tokens=None)
            charged = 0 if isinstance(outcome, Refused) else outcome.tokens
            attempts.tokens += most if charged is None else charged
            match outcome:
                case Answered(faults=faults) as answer if not faults:
                    return answer
                case Answered(faults=faults):
                    failure = Failed(f"the answer is of no use: {next(iter(faults.values()))}", invalid=True)
                case Refused(reason):
                    raise PermanentError(f"{reason}; it was asked for the vector of {texts[0][:60]!r}")
                case Stopped(error):
                    raise error
                case Failed() as failure:
                    pass
            failures += 1
            nonsense += failure.invalid
            if nonsense >= _NONSENSE:
                raise PermanentError(f"the embedding service does not answer properly: {failure.reason}")
            delay = max(min(_LONGEST_DELAY, _DELAY * 2 ** (failures - 1)), failure.wait or 0.0)
            if time.monotonic() + delay > deadline:
                raise TransientError(f"the embedding service does not answer: {failure.reason}; try again later")
            time.sleep(delay)


@dataclass(slots=True)
class _Attempts:
    """What asking for a few texts has cost so far."""

    tokens: int = 0


@dataclass(frozen=True, slots=True)
class _Watched:
    """The service as requests are sent to it: with the sample, whose vector is looked at and taken away again."""

    service: Service
    sample: Sample
    model: str
    exact: bool

    def send(self, request: Request) -> "Future[Heard]":
        """Send a request, the sample last."""
        return self.service.send([*request.texts, SAMPLE])

    def most(self, request: Request) -> int:
        """Return its tokens; of a model whose tokens are not known its bytes, because no token has fewer."""
        return request.tokens if self.exact else sum(request.sizes) + len(request.sizes) + len(SAMPLE)

    def judge(self, outcome: Outcome) -> Outcome:
        """Take an answer only if it is from the model that gave the sample."""
        if not isinstance(outcome, Answered):
            return outcome
        last = len(outcome.vectors) - 1
        if last in outcome.faults:
            return Failed(f"the answer is of no use: {outcome.faults[last]}", outcome.tokens, invalid=True)
        now = Sample(outcome.vectors[last], outcome.answered_as, 0)
        if what := difference(self.sample, now):
            return Stopped(model_changed(self.model, what), outcome.tokens)
        return Answered(outcome.vectors[:last], outcome.faults, outcome.tokens, outcome.answered_as)
