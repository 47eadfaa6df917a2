"""The addresses of the service. Each asks the index on behalf of the caller and says what came of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse

from rag_pipeline.errors import TransientError
from rag_pipeline.query import Caller, Index
from rag_pipeline.query.passage import Passage
from rag_pipeline.service.bodies import (
    AnswerBody,
    CallerAnswer,
    GivenAnswer,
    HealthAnswer,
    ProblemAnswer,
    SearchAnswer,
    SearchBody,
    WindowBody,
)
from rag_pipeline.service.callers import Identify
from rag_pipeline.service.metrics import CONTENT_TYPE, Metrics
from rag_pipeline.service.page import Page
from rag_pipeline.service.problems import BUSY, NOT_READY, UNAVAILABLE, Unusable, problem
from rag_pipeline.service.pulse import Pulse

ANSWERS_AT_ONCE = 16
"""Answers that are being made at a time, at most; requests have 40 threads."""

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemAnswer, "description": description}
    for status, description in (
        (401, "It is not known who asks."),
        (413, "The body is too large."),
        (422, "The question cannot be meant; `detail` says why."),
        (503, "The index does not answer now."),
        (504, "It took too long."),
    )
}


def caller(request: Request) -> Caller:
    """Return who makes a request, in the way of the app. Raises `Unauthenticated`."""
    identify: Identify = request.app.state.identify
    return identify(request)


Asking = Annotated[Caller, Depends(caller)]


def router(index: Index, metrics: Metrics) -> APIRouter:
    """Return the addresses, over one index."""
    api = APIRouter()
    pulse = Pulse(index)
    page = Page()
    answering = BoundedSemaphore(ANSWERS_AT_ONCE)

    @api.post("/search", responses=_PROBLEMS, summary="Search on behalf of the caller.")
    def search(body: SearchBody, asking: Asking) -> SearchAnswer:
        """Return what the caller may read and the filters admit, best first."""
        with _usable():
            hits = index.search(
                body.text,
                caller=asking,
                k=body.k,
                filters=body.filters.filters(),
                rerank=body.rerank,
                explain=body.explain,
            )
        metrics.searched(hits)
        return SearchAnswer.of(hits)

    @api.post(
        "/answer",
        responses=_PROBLEMS,
        summary="Answer a question on behalf of the caller.",
        response_model=GivenAnswer,
    )
    def answer(body: AnswerBody, asking: Asking) -> GivenAnswer | JSONResponse:
        """Return an answer from what the caller may read, with its citations, or say that it is not known."""
        # A slow model must not take all threads from those who search, nor write for those who wait no longer.
        if not answering.acquire(blocking=False):
            return problem(503, BUSY, {"Retry-After": "5"})
        with _released(answering), _usable():
            given = index.answer(body.text, caller=asking, k=body.k, filters=body.filters.filters(), rerank=body.rerank)
        metrics.gave(given)
        return GivenAnswer.of(given)

    @api.post(
        "/window",
        responses=_PROBLEMS | {404: {"model": ProblemAnswer, "description": "The caller may read no such chunk."}},
        summary="Read on around a hit.",
        response_model=Passage,
    )
    def window(body: WindowBody, asking: Asking) -> Passage | JSONResponse:
        """Return the section of a hit and those around it, as far as the caller may read them."""
        with _usable():
            passage = index.window(body.chunk_id, caller=asking, before=body.before, after=body.after)
        if passage is None:
            return problem(404, "there is no such chunk among what this caller may read; search again")
        return passage

    @api.get("/caller", responses={401: _PROBLEMS[401]}, summary="Whom the service takes the caller for.")
    def whoami(asking: Asking) -> CallerAnswer:
        """Return the principals of the caller; groups that the index itself knows are not among them."""
        return CallerAnswer(principals=asking.principals)

    @api.get(
        "/health",
        responses={503: _PROBLEMS[503]},
        summary="Whether the index answers.",
        response_model=HealthAnswer,
    )
    def health() -> HealthAnswer | JSONResponse:
        """Ask the index a question; for load balancers and monitors."""
        beat = pulse.feel()
        if beat.error:
            return problem(503, UNAVAILABLE if isinstance(beat.error, TransientError) else NOT_READY)
        return HealthAnswer(status="ok", as_of=beat.as_of)

    @api.get("/metrics", summary="Numbers for Prometheus.", response_class=PlainTextResponse)
    def numbers() -> Response:
        """Return what was counted since the start."""
        beat = pulse.feel()
        metrics.looked(beat.error is None, beat.as_of)
        return Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    @api.get("/", include_in_schema=False)
    def home() -> HTMLResponse:
        return HTMLResponse(page.html, headers={"Content-Security-Policy": page.policy})

    return api


@contextmanager
def _released(semaphore: BoundedSemaphore) -> Iterator[None]:
    try:
        yield
    finally:
        semaphore.release()


@contextmanager
def _usable() -> Iterator[None]:
    """Tell what is wrong with a question from what is wrong with the software."""
    try:
        yield
    except ValueError as error:
        raise Unusable(str(error)) from error
