"""What every asset does around its stage: gives it the pipeline, tells how far it is, decides about errors.

A `TransientError` is tried again after a pause; every other `RagError` ends the run at once with its
message, because trying again cannot help. `StateMoved` belongs to the latter: what was computed no
longer applies, so only a new refresh can succeed. An interrupt is never retried.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import dagster as dg
import psycopg

from rag_pipeline.errors import RagError, StateMoved, TransientError
from rag_pipeline.progress import Progress, silent
from rag_pipeline.stages import Pipeline

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MAX_RETRIES = 2
_LOG_EVERY_SECONDS = 10

Number = int | float


@dataclass(frozen=True, slots=True)
class Stage:
    """One execution of one stage."""

    pipeline: Pipeline
    started: float

    def numbers(self, value: "DataclassInstance", **more: Number) -> dict[str, Number]:
        """Return every number of a handover value, what else is given, and the seconds of the stage."""
        own = {field.name: getattr(value, field.name) for field in fields(value)}
        plain = {name: number for name, number in own.items() if type(number) in (int, float)}
        return plain | more | {"seconds": self.seconds}

    @property
    def seconds(self) -> float:
        """How long the stage has taken so far."""
        return round(time.monotonic() - self.started, 3)


class Stages:
    """The stages of one workspace, as a Dagster resource.

    The pipeline is shared by all stages of a process, so that the model is loaded once. `failure` is what
    ended the last stage that failed, so that whoever launched the run in this process can raise it.
    """

    def __init__(self, pipeline: Pipeline, progress: Progress = silent, retry_seconds: float = 5.0) -> None:
        self.pipeline = pipeline
        self.failure: BaseException | None = None
        self._progress = progress
        self._retry_seconds = retry_seconds

    @contextmanager
    def stage(self, context: dg.OpExecutionContext | dg.AssetExecutionContext) -> Iterator[Stage]:
        """Run a stage inside this; errors become what Dagster should do about them."""
        self.pipeline.run_id = context.run.run_id
        self.pipeline.progress = _logged(context, self._progress)
        self.failure = None
        try:
            yield Stage(self.pipeline, time.monotonic())
        except BaseException as error:
            reason = self.failure = _classified(error)
            if isinstance(reason, TransientError) and not isinstance(reason, StateMoved):
                context.log.warning(f"attempt {context.retry_number + 1} failed: {reason}")
                pause = self._retry_seconds * 2**context.retry_number
                raise dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=pause) from reason
            if isinstance(reason, RagError):
                raise dg.Failure(str(reason), allow_retries=False) from reason
            raise


def _classified(error: BaseException) -> BaseException:
    """Return an error as one of ours where it is known what it means: a session may end at any statement."""
    if not isinstance(error, psycopg.OperationalError):
        return error
    lost = TransientError(f"the database broke off a statement: {error}")
    lost.__cause__ = error
    return lost


def _logged(context: dg.OpExecutionContext | dg.AssetExecutionContext, progress: Progress) -> Progress:
    """Pass progress on, and log it often enough to see that a long stage is alive."""
    last = time.monotonic()

    def tell(stage: str, done: int, total: int | None) -> None:
        nonlocal last
        progress(stage, done, total)
        if time.monotonic() - last >= _LOG_EVERY_SECONDS:
            last = time.monotonic()
            context.log.info(f"{stage}: {done}" if total is None else f"{stage}: {done} of {total}")

    return tell
