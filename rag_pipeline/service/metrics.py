"""What the service counts, for Prometheus. Numbers only: no caller, no question, no name of a source."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_pipeline.query import Answer, Hits, Layer

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The counters of one app."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "rag_requests", "Requests by route and status.", ("route", "status"), registry=self._registry
        )
        self._duration = Histogram(
            "rag_request_seconds",
            "Seconds of a request, by route.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._layers = Histogram(
            "rag_layer_seconds",
            "Seconds of each layer of a search, and of what follows it in an answer.",
            ("layer",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._kept = Counter(
            "rag_layer_kept", "What each layer kept: chunks, candidates, hits.", ("layer",), registry=self._registry
        )
        self._dropped = Counter("rag_layer_dropped", "What each layer dropped.", ("layer",), registry=self._registry)
        self._answers = Counter(
            "rag_answers", "Answers by what became of the question.", ("outcome",), registry=self._registry
        )
        self._tokens = Counter("rag_answer_tokens", "Tokens of the models that wrote answers.", registry=self._registry)
        self._dollars = Counter("rag_answer_usd", "Dollars for answers, as far as known.", registry=self._registry)
        self._hits = Counter("rag_hits", "Hits that were given.", registry=self._registry)
        self._empty = Counter("rag_searches_without_hit", "Searches that found nothing.", registry=self._registry)
        self._age = Gauge(
            "rag_index_age_seconds", "Age of the state up to which the index is confirmed.", registry=self._registry
        )
        self._up = Gauge("rag_index_up", "Whether the index answers: 1 or 0.", registry=self._registry)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, str(status)).inc()
        self._duration.labels(route).observe(seconds)

    def searched(self, hits: Hits) -> None:
        """Count a search and the time of its layers."""
        self._hits.inc(len(hits))
        if not hits:
            self._empty.inc()
        self._passed(hits.layers)

    def gave(self, answer: Answer) -> None:
        """Count an answer, its search and the time of all layers."""
        self.searched(answer.hits)
        self._answers.labels(_outcome(answer)).inc()
        self._tokens.inc(answer.tokens)
        self._dollars.inc(float(answer.cost_usd or 0))
        self._passed(answer.layers)

    def _passed(self, layers: Iterable[Layer]) -> None:
        for layer in layers:
            self._layers.labels(layer.name).observe(layer.milliseconds / 1000)
            self._kept.labels(layer.name).inc(layer.kept)
            self._dropped.labels(layer.name).inc(layer.dropped)

    def looked(self, up: bool, as_of: datetime | None) -> None:
        """Note whether the index answers and how old it is; an age that is not known is no number."""
        self._up.set(up)
        self._age.set((datetime.now(UTC) - as_of).total_seconds() if as_of else float("nan"))

    def text(self) -> bytes:
        """Return all of it in the format of Prometheus."""
        return generate_latest(self._registry)


def _outcome(answer: Answer) -> str:
    """Return what became of a question, in one word."""
    if answer.answer is None:
        return "failed"
    if answer.cached:
        return "cached"
    if answer.abstained:
        return "not_known"
    return "quoted" if answer.model is None else "written"


class Measured:
    """Counts what an app answers, by the route that was taken."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Wrap an app."""
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and note its status and duration."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 499

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            # Paths that lead nowhere are one route, or whoever tries them would fill the memory.
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.answered(route, status, time.perf_counter() - begun)
