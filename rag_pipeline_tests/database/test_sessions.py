"""A session that stages share is as good as a new one each time, and no one keeps it who was not asked to."""

import threading
from typing import Any

import pytest
from psycopg import Connection, errors

from rag_pipeline.database.sessions import Sessions
from rag_pipeline.settings import Settings

STATE = """
    select pg_backend_pid(), current_user::text, current_setting('search_path'), current_setting('work_mem'),
        current_setting('timezone'), to_regclass('pg_temp.left_over') is null,
        (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid())
"""


def state(connection: Connection[Any]) -> tuple[Any, ...]:
    row = connection.execute(STATE).fetchone()
    assert row
    return row


@pytest.fixture
def sessions(settings: Settings) -> Sessions:
    return Sessions(settings)


def test_nothing_of_the_last_stage_is_left(sessions: Sessions) -> None:
    with sessions.kept():
        with sessions.lent() as connection:
            before = state(connection)
            connection.execute("create temp table left_over (number int)")
            connection.execute("select pg_advisory_lock(1), set_config('work_mem', '77MB', false)")
            connection.execute("set search_path = pg_catalog; set timezone = 'Asia/Tokyo'")
        with sessions.lent() as connection:
            assert state(connection) == before
            assert before[1] == "rag_writer"


def test_a_stage_inside_another_has_its_own(sessions: Sessions) -> None:
    with sessions.kept(), sessions.lent() as outer:
        with sessions.lent() as inner:
            assert state(outer)[0] != state(inner)[0]
        with sessions.lent() as again:
            assert again is inner
    assert outer.closed
    assert inner.closed


def test_what_failed_is_not_lent_again(sessions: Sessions) -> None:
    with sessions.kept():
        with pytest.raises(errors.DivisionByZero), sessions.lent() as failed:
            failed.execute("select 1 / 0")
        with sessions.lent() as other:
            assert failed.closed
            other.execute("begin")
        with sessions.lent() as last:
            assert other.closed
            assert state(last)[0]


def test_what_the_server_ended_meanwhile_is_replaced(sessions: Sessions, connection: Connection[Any]) -> None:
    with sessions.kept():
        with sessions.lent() as lost:
            (pid, *_) = state(lost)
        connection.execute("set role none")
        connection.execute("select pg_terminate_backend(%s, 5000)", [pid])
        with sessions.lent() as fresh:
            assert state(fresh)[0] != pid
    assert fresh.closed


def test_only_who_asks_for_it_keeps_one(sessions: Sessions) -> None:
    found: list[bool] = []

    def elsewhere() -> None:
        with sessions.lent() as own:
            state(own)
        found.append(own.closed)

    with sessions.lent() as connection:
        state(connection)
    assert connection.closed
    with sessions.kept():
        with sessions.kept(), sessions.lent() as kept:
            state(kept)
        assert not kept.closed
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        with sessions.lent() as again:
            assert again is kept
    assert found == [True]
    assert kept.closed
