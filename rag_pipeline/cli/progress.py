"""How far a refresh is: a bar with rate and remaining time on a terminal, elsewhere one line a stage, on stderr."""

import os
import sys
from typing import TYPE_CHECKING, NoReturn, TextIO

import click

if TYPE_CHECKING:
    from tqdm import tqdm


class StageProgress:
    """Listens to the stages of one source; use it as a context manager, so that the last stage is ended too."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._stage = ""
        self._done = 0
        self._bar: tqdm[NoReturn] | None = None
        self._terminal: TextIO | None = None

    def __enter__(self) -> "StageProgress":
        if sys.stderr.isatty():
            # A stream of its own: while Dagster runs a step, stderr is a pipe to its logs.
            self._terminal = os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding=sys.stderr.encoding)
        return self

    def __exit__(self, *failure: object) -> None:
        self._end()
        if self._terminal is not None:
            self._terminal.close()

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Show that `done` of `total` are finished in a stage."""
        if stage != self._stage:
            self._end()
            self._begin(stage, done, total)
        self._done = done
        if self._bar is not None:
            self._bar.total = total
            self._bar.update(done - self._bar.n)

    def _begin(self, stage: str, done: int, total: int | None) -> None:
        self._stage = stage
        if self._terminal is not None:
            from tqdm import tqdm

            # What was done before the first call took an unknown time, so it must not count in the rate.
            self._bar = tqdm(
                desc=self._title,
                initial=done,
                total=total,
                unit=f" {self._unit}",
                file=self._terminal,
                dynamic_ncols=True,
            )

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        elif self._stage:
            click.echo(f"{self._title}: {self._done:,} {self._unit}", err=True)
        self._stage = ""

    @property
    def _title(self) -> str:
        return f"{self._source}: {self._stage}"

    @property
    def _unit(self) -> str:
        return {"embeddings": "texts", "questions": "questions", "judgements": "answers"}.get(self._stage, "documents")
