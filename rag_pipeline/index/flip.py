"""The flip: another generation becomes live, in one transaction that readers see as one moment.

What must not become live is found inside that transaction, while nobody publishes; then views and functions are led
to the tables of the other generation. A search that was on its way notices and is asked again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import dict_row

from rag_pipeline.database.objects import apply_objects, as_owner, search_path
from rag_pipeline.database.statements import statements
from rag_pipeline.errors import ConfigurationError, PermanentError, TransientError
from rag_pipeline.index.generations import Generation, State, expect_state, generations, look_into
from rag_pipeline.index.migration import Flip
from rag_pipeline.index.narrowing import narrow

Gate = Callable[[Connection[Any], Generation, Generation], None]
"""Asked inside the transaction whether the second generation may take the place of the first; raises when not."""


def unready(connection: Connection[Any], live: Generation, other: Generation) -> list[str]:
    """Say of each source why the other generation does not stand where the live one does; nothing when all do."""
    names = {"live": live.number, "generation": other.number}
    return [
        f"{source} is at snapshot {snapshot if snapshot is not None else '-'} there and {live_snapshot} in the live one"
        for source, live_snapshot, snapshot in connection.execute(statements("flip")["unready"], names)
    ]


def flip(connection: Connection[Any], live: Generation, other: Generation, check: bool, gate: Gate | None) -> Flip:
    """Make the other generation live, and the live one retired; built, where the other was retired and none is built.

    With `check`, only when every source stands there as in the live one and nothing that readers have is missing,
    and when the `gate` lets it through; holes in its tables keep it out always. Access is the narrower of both. Raises
    `PermanentError` for what is wrong, `TransientError` when readers hold the views too long; nothing changed then.
    """
    queries = statements("flip")
    try:
        with connection.transaction():
            connection.execute(statements("generations")["lock_generations"])
            connection.execute(queries["lock_sources"])
            becomes = _expect(connection, live, other)
            if check and (late := unready(connection, live, other)):
                raise PermanentError(
                    f"generation {other.number} is not published, because not every source is there as in the live "
                    f"one: {'; '.join(late)}. Bring it up to date: rag-pipeline migrate start"
                )
            _note_published(connection, live, back_to=other)
            names = {"live": live.number, "generation": other.number}
            _check(connection, names, check)
            if gate is not None and check:
                gate(connection, live, other)
            narrowed = _narrow(connection, names)
            connection.execute(queries["do_not_wait_long"])
            for generation, state in ((live.number, becomes), (other.number, "live")):
                connection.execute(queries["set_state"], {"generation": generation, "state": state})
            connection.execute(queries["forget_equality"])
            apply_objects(connection, other.number)
            (as_of,) = connection.execute(queries["as_of"], {"generation": other.number}).fetchone() or (None,)
    except psycopg.errors.LockNotAvailable as error:
        raise TransientError(
            "somebody has been reading the views of the index for a while, and the flip does not make others wait; "
            "nothing has changed, try again"
        ) from error
    return Flip(other.number, live.number, as_of, narrowed)


def narrow_frozen(connection: Connection[Any], frozen: Generation, ahead: Generation) -> int:
    """Take from readers of a generation that is refreshed no more what one that is refreshed has taken from its own.

    Returns how many documents that are. The session's tables are those of the frozen one, which goes on to say what
    it said, but not to everybody to whom it did.
    """
    with connection.transaction():
        connection.execute(statements("flip")["lock_sources"])
        expect_state(connection, frozen.number, "live")
        _note_published(connection, ahead, back_to=frozen)
        return _narrow(connection, {"live": ahead.number, "generation": frozen.number})


def drop_generation(connection: Connection[Any], generation: Generation) -> None:
    """Free the tables of a generation; its row stays for the record.

    Raises `ConfigurationError` for the live one, `TransientError` when somebody reads its tables too long.
    """
    queries, names = statements("flip"), {"generation": generation.number}

    def execute(statement: str) -> None:
        connection.execute(queries["do_not_wait_long"])
        with as_owner(connection, search_path(connection, "rag")):
            connection.execute(statement.encode())

    try:
        # To cut such a tie takes the control table for itself, which every search reads. In one transaction these locks
        # would pile up, and searches that hold the next of the tables wait for the one before.
        for (tie,) in connection.execute(queries["ties"], names).fetchall():
            with _nobody_else(connection, generation):
                execute(tie)
        with _nobody_else(connection, generation):
            for name in ("forget_sources", "forget_quarantine"):
                connection.execute(queries[name], names)
            connection.execute(queries["set_state"], names | {"state": "dropped"})
            (statement,) = connection.execute(queries["drop_schema"], names).fetchone() or ("",)
            execute(statement)
    except psycopg.errors.LockNotAvailable as error:
        raise TransientError(
            f"somebody has been reading generation {generation.number} for a while, and no refresh waits for that; "
            "nothing has changed, try again"
        ) from error


@contextmanager
def _nobody_else(connection: Connection[Any], generation: Generation) -> Iterator[None]:
    """Give a transaction in which nobody publishes or flips. Raises `ConfigurationError` for the live generation."""
    with connection.transaction():
        connection.execute(statements("generations")["lock_generations"])
        connection.execute(statements("flip")["lock_sources"])
        now = {each.number: each.state for each in generations(connection)}.get(generation.number)
        if now == "live":
            raise ConfigurationError(
                f"generation {generation.number} is live, and what readers see is not dropped; publish another "
                "first, or go back: rag-pipeline migrate rollback"
            )
        yield


def _note_published(connection: Connection[Any], generation: Generation, back_to: Generation) -> None:
    """Lay what a generation has published into `live_documents`, until the transaction ends."""
    with look_into(connection, generation.number, back_to=back_to.number):
        for name in ("note_published", "index_published", "analyze_published"):
            connection.execute(statements("flip")[name])


def _expect(connection: Connection[Any], live: Generation, other: Generation) -> State:
    """Return what the live generation becomes. Raises `TransientError` where either is not in its state any more."""
    now = {each.number: each.state for each in generations(connection)}
    for generation in (live, other):
        if now.get(generation.number) != generation.state:
            raise TransientError(
                f"generation {generation.number} is {now.get(generation.number, 'dropped')} meanwhile; "
                "look again: rag-pipeline migrate status"
            )
    return "retired" if "building" in now.values() else "building"


def _check(connection: Connection[Any], names: dict[str, int], check: bool) -> None:
    """Raise when the generation has what must not be published; what readers would lose counts with `check` only."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(statements("flip")["violations"], names).fetchall()
    lasting = [row for row in found if row["lasting"]]
    if lasting or (found and check):
        what = ", ".join(f"{row['times']} {row['violation']}" for row in found)
        way = (
            "drop it and build it again: rag-pipeline migrate drop"
            if lasting
            else "see rag-pipeline migrate status; if that is acceptable: rag-pipeline migrate publish --force"
        )
        raise PermanentError(f"generation {names['generation']} is not published, because it has {what}; {way}")


def _narrow(connection: Connection[Any], names: dict[str, int]) -> int:
    """Give each document of the generation to be live the narrower of its access and the live one's; returns how many.

    A document that readers do not see now is one that is gone: nobody gets it back before a refresh has looked.
    """
    queries = statements("flip")
    connection.execute(queries["note_unreadable"], names)
    with connection.cursor(row_factory=dict_row) as cursor:
        pairs = cursor.execute(queries["narrower"], names).fetchall()
    return narrow(connection, pairs, queries["narrow_documents"], names)
