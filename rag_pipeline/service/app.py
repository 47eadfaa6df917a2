"""The HTTP service: the addresses, the gates before them, and what says who asks."""

import os
from collections.abc import Mapping

from fastapi import FastAPI
from starlette.types import ASGIApp

from rag_pipeline import __version__
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.query import Caller, Index
from rag_pipeline.service import problems
from rag_pipeline.service.callers import Fixed, open_callers
from rag_pipeline.service.gate import THIS_MACHINE, BodyLimit, KnownHosts, SafeHeaders, TimeLimit
from rag_pipeline.service.metrics import Measured, Metrics
from rag_pipeline.service.routes import router
from rag_pipeline.settings import Settings

_BESIDE_THE_MODEL = 5.0
"""Seconds of a request for an answer that are left for all else: who asks, the search, the citations."""


def create_app(
    settings: Settings,
    *,
    index: Index,
    caller: Caller | None = None,
    this_machine: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> ASGIApp:
    """Return the service over an open index.

    `caller` makes everyone that caller, in place of what the settings say about who asks; `this_machine` says
    that the service listens on this machine only, and so is addressed by this machine's names alone. Each of
    the two is refused a name that is not known. Raises `ConfigurationError` for settings that cannot be used,
    `TransientError` when keys cannot be fetched now.
    """
    _check_that_answers_fit(settings)
    identify = Fixed(caller) if caller else open_callers(settings, environ)
    metrics = Metrics()
    api = FastAPI(
        title="rag-pipeline",
        version=__version__,
        description="Searches an index on behalf of a caller; nothing is found that the caller may not read.",
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    api.state.identify = identify
    problems.install(api, identify.challenge)
    api.include_router(router(index, metrics))
    limits = settings.service
    hosts = {*THIS_MACHINE, *limits.hosts} if caller or this_machine or limits.hosts else None
    return SafeHeaders(
        Measured(
            KnownHosts(TimeLimit(BodyLimit(api, limits.max_body_kb * 1000), limits.request_seconds), hosts), metrics
        )
    )


def _check_that_answers_fit(settings: Settings) -> None:
    """Refuse a model that may take so long that nobody waits any more for the answer that it is paid for."""
    model, request = settings.answers.seconds, settings.service.request_seconds
    if settings.answers.model is not None and model + _BESIDE_THE_MODEL > request:
        raise ConfigurationError(
            f"[service] request_seconds = {request:g} must be {_BESIDE_THE_MODEL:g} or more above [answers] seconds = "
            f"{model:g}, or answers are paid for that nobody gets; raise the one or lower the other"
        )
