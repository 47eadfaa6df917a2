"""Requests sent, sent again, halved or given up, until every text has its vector or is refused.

All decisions are made here, in the thread of the caller: no more requests are unsettled than there are slots (on
their way, or answered and not looked at), and one more that the caller is keeping, which bounds what a crash can
lose. What was answered is handed over before an error is raised.
"""

import random
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from typing import Protocol

import numpy as np

from rag_pipeline.embeddings import Batch, Refusal, Reserve
from rag_pipeline.embeddings.openai.limits import Pace, Size, Slots
from rag_pipeline.embeddings.openai.outcomes import Answered, Failed, Heard, Outcome, Refused, Stopped
from rag_pipeline.embeddings.openai.packing import Request
from rag_pipeline.embeddings.openai.refusals import KEPT, Refusals
from rag_pipeline.errors import PermanentError, RagError, TransientError

_ATTEMPTS = 6
"""Failures of one request, each after an answer to another, from which on its texts are to blame. From one less on a
probe is sent, because there may be no others. A half of what was to blame is halved again at its first such failure."""

_NONSENSE = 3
"""Answers of no use in a row, each paid for, after which nothing more is bought."""

_FAULTS = 2
"""Times that the vector of a text may be none."""

_REFUSALS = 2
"""Times that a text is refused alone, before that is its own fault: a service may stumble once over anything."""

_AT_ONCE = 0.0
_DELAY, _LONGEST_DELAY = 0.25, 20.0
_SLOW = (
    ". For a slow service lower [embedding] batch_texts or requests_at_once, or raise request_seconds (and "
    "give_up_seconds above it)"
)


class Seller(Protocol):
    """What requests are sent to."""

    def send(self, request: Request) -> "Future[Heard]":
        """Send a request and return what will come of it."""
        ...

    def most(self, request: Request) -> int:
        """Return the tokens that a request can cost, at most."""
        ...

    def judge(self, outcome: Outcome) -> Outcome:
        """Return an outcome as it is to be understood."""
        ...


class Buyer:
    """Buys the vectors of one run: up to `at_once` requests at a time, and patient for so many seconds of waiting."""

    def __init__(
        self, seller: Seller, dimensions: int, at_once: int, patience: float, reserve: Reserve, known: int
    ) -> None:
        self._seller = seller
        self._nothing = np.empty((0, dimensions), np.float32)
        self._patience = patience
        self._reserve = reserve
        self._refusals = Refusals(known)
        self._slots = Slots(at_once)
        self._pace = Pace()
        self._size = Size()
        self._under_way: dict[Future[Heard], tuple[Request, float]] = {}
        self._again: deque[tuple[float, Request]] = deque()
        self._error: BaseException | None = None
        self._brought: deque[Batch] = deque()
        self._nonsense = self._busy = 0
        self._last_failure = "its limits, by its own word, let nothing through"
        self._probing = self._slow = False
        self._answered_at = self._waited = 0.0

    def buy(self, requests: Iterator[Request]) -> Iterator[Batch]:
        """Yield what requests bring, as it comes, with no more than one batch on its way to the caller."""
        next_one: Request | None = None
        more = True
        try:
            while True:
                if more and next_one is None and self._error is None:
                    try:
                        next_one = next(requests, None)
                    except Exception as error:  # handed on, once what is under way is settled
                        self._error = error
                    more = next_one is not None
                # The next request leaves before the caller keeps what the last one brought: no slot waits for that.
                if self._send_one(next_one):
                    next_one = None
                    continue
                while self._brought:
                    yield self._brought.popleft()
                if not self._under_way and (self._error is not None or (next_one is None and not self._again)):
                    break
                self._brought.extend(self._settled(self._time_to_next(next_one)))
                if self._error is None and self._waited > self._patience:
                    self._error = TransientError(
                        f"the embedding service gave no usable answer for {self._patience:g} seconds: "
                        f"{self._last_failure}{_SLOW if self._slow else ''}. {KEPT}"
                    )
            if self._error is not None:
                if left := sum(request.reserved for _, request in self._again):
                    yield Batch((), self._nothing, (), 0, left)
                raise self._error
        finally:
            for future in self._under_way:
                future.cancel()

    def _ready(self, next_one: Request | None, now: float) -> Request | None:
        """Return the request whose turn it is: one that is to be sent again first."""
        if self._again and self._again[0][0] <= now:
            return self._again[0][1]
        return next_one

    def _send_one(self, next_one: Request | None) -> bool:
        """Send a request if one may leave now; return whether it was `next_one`, so that another is needed.

        What is sent again leaves `next_one` as it is.
        """
        while self._error is None and len(self._under_way) < self._slots.free_up_to:
            now = time.monotonic()
            request = self._ready(next_one, now)
            if request is None or self._pace.wait(request.tokens, now) > 0:
                return False
            sent, rest = request, None
            if len(request.texts) > (fits := self._size.fits(len(request.texts))):
                sent, rest = request.split(fits)
            if (missing := self._seller.most(sent) - sent.reserved) > 0:
                try:
                    self._reserve(missing)
                except Exception as error:  # nothing may be spent any more; what is under way comes in
                    # What came in may have cost less than was set aside for it: asked again when that is settled.
                    self._error = None if self._brought else error
                    return False
            if request is not next_one:
                self._again.popleft()
            sent = replace(sent, reserved=sent.reserved + max(0, missing))
            if rest is not None:
                self._later(rest, now)
            self._pace.sent(sent.tokens, now)
            self._under_way[self._seller.send(sent)] = sent, now
            if request is next_one:
                return True
        return False

    def _time_to_next(self, next_one: Request | None) -> float:
        """Return in how many seconds something can be sent, if nothing comes in before."""
        now = time.monotonic()
        patience = max(0.0, self._patience - self._waited) + 0.01
        if self._error is not None or len(self._under_way) >= self._slots.free_up_to:
            return patience
        waits = [patience]
        if request := self._ready(next_one, now):
            waits.append(self._pace.wait(request.tokens, now))
        if self._again and self._again[0][0] > now:
            waits.append(self._again[0][0] - now)
        return min(waits)

    def _settled(self, seconds: float) -> Iterator[Batch]:
        """Wait for the end of a request, at most so long, and yield what it brought."""
        started = time.monotonic()
        if self._under_way:
            done, _ = wait(self._under_way, seconds, FIRST_COMPLETED)
        else:
            done = set()
            time.sleep(seconds)
        self._waited += time.monotonic() - started
        for future in list(done)[:1]:
            request, sent_at = self._under_way.pop(future)
            heard = future.result()
            now = time.monotonic()
            self._pace.heard(request.tokens, heard.headers, now)
            match self._seller.judge(heard.outcome):
                case Failed() | Refused() as failure if not request.texts:
                    yield self._came_to_nothing(request, failure)
                case Answered() as answer:
                    self._size.answered(len(request.texts), now - sent_at)
                    yield from self._take(request, answer, now)
                case Failed() as failure:
                    if failure.slow:
                        self._size.too_slow(len(request.texts), now - sent_at)
                    yield from self._failed(request, failure, now)
                case Refused(reason):
                    yield from self._ask_halves(request, reason, now)
                case Stopped(error, tokens):
                    self._stop(error)
                    yield Batch((), self._nothing, (), self._charged(request, tokens), request.reserved)

    def _charged(self, request: Request, tokens: int | None) -> int:
        """Return the tokens to be booked: where the service did not say them, the most that they can be."""
        return self._seller.most(request) if tokens is None else tokens

    def _take(self, request: Request, answer: Answered, now: float) -> Iterator[Batch]:
        """Yield the vectors of an answer; the texts whose vector is none are asked once more."""
        self._slots.succeeded()
        self._answered_at, self._waited = now, 0.0
        self._busy = 0
        if request.texts:
            self._nonsense = 0
        else:
            self._probing = False
        self._hurry()
        good = [place for place in range(len(request.texts)) if place not in answer.faults]
        self._refusals.took(len(good))
        bad: list[tuple[int, Refusal]] = []
        if answer.faults:
            faulty = replace(request.part(answer.faults), reserved=0, faults=request.faults + 1)
            if faulty.faults < _FAULTS:
                self._later(faulty, now)
            else:
                bad = [
                    (request.positions[place], Refusal(reason, lasting=False))
                    for place, reason in answer.faults.items()
                ]
                self._count_refused(len(bad), bad[0][1])
        yield Batch(
            [request.positions[place] for place in good],
            answer.vectors[good],
            [request.counts[place] for place in good],
            self._charged(request, answer.tokens),
            request.reserved,
            bad,
        )

    def _failed(self, request: Request, failure: Failed, now: float) -> Iterator[Batch]:
        """Decide when, and how much of it, is sent again."""
        if charged := self._charged(request, failure.tokens):
            yield Batch((), self._nothing, (), charged, request.reserved)
            request = replace(request, reserved=0)
        self._last_failure, self._slow = failure.reason, failure.slow
        if failure.busy or failure.slow:
            self._slots.overrun(now)
        if failure.busy:
            self._hold_off(request, failure, now)
            return
        self._nonsense += failure.invalid
        if failure.invalid and self._nonsense >= _NONSENSE:
            self._stop(PermanentError(f"the embedding service does not answer properly: {failure.reason}. {KEPT}"))
        if failure.slow and len(request.texts) > 1:
            for half in request.halves():
                self._later(half, now)
            return
        # An outage is nobody's fault: only what failed twice, with another's answer in between, is suspected.
        blamed = request.blamed + (self._answered_at > request.failed_at)
        failures = request.failures + 1
        not_before = now + (failure.wait or 0.0)
        request = replace(request, failures=failures, failed_at=now, blamed=blamed, not_before=not_before)
        if blamed >= _ATTEMPTS:
            yield from self._blame(request, Refusal(failure.reason, lasting=False), now)
            return
        if failures >= _ATTEMPTS - 1:
            self._probe(request)
        # Spread, so that requests refused together do not come back together; no secret depends on it.
        delay = min(_LONGEST_DELAY, _DELAY * 2 ** (failures - 1)) * random.uniform(0.75, 1.25)  # noqa: S311
        self._later(request, max(now + delay, not_before))

    def _blame(self, request: Request, refusal: Refusal, now: float) -> Iterator[Batch]:
        """Take the texts of a request to be why it fails: one alone is left, of more the halves are asked."""
        if len(request.texts) == 1:
            yield self._left(request, refusal)
            return
        for half in request.halves():
            # A text alone has to fail as often again by itself, before it is left.
            blamed = _ATTEMPTS - 1 if len(half.texts) > 1 else 0
            self._later(replace(half, failures=_ATTEMPTS - 2, failed_at=now, blamed=blamed), now)

    def _hurry(self) -> None:
        """Ask soon what has failed and waits: the service is there again, or never was away."""
        waiting, self._again = self._again, deque()
        for ready_at, request in waiting:
            if request.failures:
                ready_at = min(ready_at, max(request.failed_at + _DELAY, request.not_before))
            self._later(request, ready_at)

    def _hold_off(self, request: Request, failure: Failed, now: float) -> None:
        """Ask a busy service again when it wants to be asked, and for no more than it can ever give at once."""
        if failure.wait is not None and failure.wait > self._patience:
            self._stop(
                TransientError(
                    f"{failure.reason}; the service wants to be asked again in {failure.wait:.0f} seconds, which is "
                    f"later than [embedding] give_up_seconds. {KEPT}"
                )
            )
        if failure.wait is not None:
            self._pace.pause(failure.wait, now)
        elif not self._pace.paused(now):
            self._pace.pause(min(_LONGEST_DELAY, _DELAY * 2**self._busy), now)
            self._busy += 1
        if len(request.texts) > 1 and request.tokens > self._pace.largest_request:
            for half in request.halves():
                self._later(half, now)
        else:
            self._later(request, now)

    def _probe(self, request: Request) -> None:
        """Find out whether the service answers at all, by one probe at a time."""
        if not self._probing:
            self._probing = True
            self._later(request.probe(), _AT_ONCE)

    def _came_to_nothing(self, probe: Request, failure: Failed | Refused) -> Batch:
        """Note that a probe brought nothing; where many texts are refused, that tells whose fault it is."""
        self._probing = False
        charged = 0
        if isinstance(failure, Failed):
            charged = self._charged(probe, failure.tokens)
        elif error := self._refusals.probe_refused(failure.reason):
            self._stop(error)
        return Batch((), self._nothing, (), charged, probe.reserved)

    def _ask_halves(self, request: Request, reason: str, now: float) -> Iterator[Batch]:
        """Look for the text that is refused: in the halves, until it is alone; then it is asked once more."""
        if len(request.texts) > 1:
            for half in request.halves():
                self._later(half, now)
        elif request.refusals + 1 < _REFUSALS:
            self._later(replace(request, refusals=request.refusals + 1), now + _DELAY)
        else:
            yield self._left(request, Refusal(reason))

    def _left(self, request: Request, refusal: Refusal) -> Batch:
        """Give up the only text of a request."""
        self._count_refused(1, refusal)
        if self._refusals.many:
            self._probe(request)
        return Batch((), self._nothing, (), 0, request.reserved, [(request.positions[0], refusal)])

    def _count_refused(self, texts: int, refusal: Refusal) -> None:
        if error := self._refusals.refused(texts, refusal.reason):
            self._stop(error)

    def _later(self, request: Request, ready_at: float) -> None:
        """Put a request where its turn is."""
        place = next((i for i, (other, _) in enumerate(self._again) if other > ready_at), len(self._again))
        self._again.insert(place, (ready_at, request))

    def _stop(self, error: RagError) -> None:
        self._error = self._error or error
