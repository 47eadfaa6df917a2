"""One action for each source: a source that fails does not stop the others."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from rag_pipeline.cli.failures import WRONG_DATA, WRONG_USE, debugging, describe, exit_code

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Done(Generic[Value]):
    """A source whose action went through, and what it gave."""

    source: str
    value: Value


@dataclass(frozen=True, slots=True)
class Failed:
    """A source whose action ended in an error."""

    source: str
    error: Exception


def for_each(sources: Iterable[str], action: Callable[[str], Value]) -> list[Done[Value] | Failed]:
    """Call the action with each source in turn."""
    outcomes: list[Done[Value] | Failed] = []
    for source in sources:
        try:
            outcomes.append(Done(source, action(source)))
        except Exception as error:
            if debugging():
                raise
            outcomes.append(Failed(source, error))
    return outcomes


def rows(outcomes: Sequence[Done[Any] | Failed]) -> list[dict[str, Any]]:
    """Return the fields of each value, a dataclass; of a failed source its name and the error."""
    return [
        asdict(outcome.value)
        if isinstance(outcome, Done)
        else {"source": outcome.source, "error": describe(outcome.error)}
        for outcome in outcomes
    ]


def code_of(outcomes: Sequence[Done[Value] | Failed], good: Callable[[Value], bool]) -> int:
    """Return the exit code: 0 all good, 2 when configuration stopped every source, else 1."""
    codes = {
        (0 if good(outcome.value) else WRONG_DATA) if isinstance(outcome, Done) else exit_code(outcome.error)
        for outcome in outcomes
    }
    if codes <= {0}:
        return 0
    return WRONG_USE if codes == {WRONG_USE} else WRONG_DATA
