"""How a stage tells how far it is: a callable that a terminal, a log or nobody listens to."""

from typing import Protocol


class Progress(Protocol):
    """Receives counts of work done. Called often, so it must be cheap."""

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """`done` items of `total` (None while unknown) are finished in `stage`."""
        ...


def silent(stage: str, done: int, total: int | None) -> None:
    """Tell nobody."""
