"""Sessions that many threads share: what one borrower leaves behind the next one does not find."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pgvector import HalfVector
from psycopg import Connection
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from rag_pipeline.database.connection import connect, open_session
from rag_pipeline.database.embedded import EmbeddedServer
from rag_pipeline.database.migrate import prepare
from rag_pipeline.database.pool import ReaderPool, _expect_reader, reader_pool
from rag_pipeline.errors import ConfigurationError, TransientError
from rag_pipeline.settings import Settings

STATE = """
    select
        (select array_agg(name || '=' || setting order by name) from pg_settings),
        coalesce(current_setting('app.principals', true), ''), current_user::text, session_user::text,
        (select count(*) from pg_prepared_statements), (select count(*) from pg_cursors),
        (select count(*) from pg_listening_channels()),
        (select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'),
        (select count(*) from pg_class where relnamespace = pg_my_temp_schema())
"""


@pytest.fixture
def single(settings: Settings) -> Iterator[ReaderPool]:
    """A pool of one session, so that every borrower has the same."""
    with reader_pool(settings, size=1) as pool:
        yield pool


def value(connection: Connection[Any], query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def test_a_session_is_a_reader_of_one_snapshot_at_a_time(single: ReaderPool) -> None:
    for _ in range(3):
        with single.connection() as session:
            assert value(session, "select current_user::text") == "rag_reader"
            assert value(session, "show statement_timeout") == "30s"
            assert value(session, "show idle_in_transaction_session_timeout") == "1min"
            with session.transaction():
                assert value(session, "show transaction_isolation") == "repeatable read"
                with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                    session.execute("create temp table mine ()")
            assert session.execute("select %s::halfvec", [HalfVector([1, 2])]).fetchone() == (HalfVector([1, 2]),)


def in_a_transaction(statement: str) -> Callable[[Connection[Any]], None]:
    def leave(session: Connection[Any]) -> None:
        session.execute("begin")
        session.execute(statement.encode())

    return leave


def broken_off(session: Connection[Any]) -> None:
    session.execute("begin; set local app.principals = 'user:ana'; set timezone = 'Asia/Tokyo'")
    session.execute("select 1 / 0")


def client_side(session: Connection[Any]) -> None:
    session.row_factory = dict_row  # pyright: ignore[reportAttributeAccessIssue]
    session.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    session.read_only = False
    session.deferrable = True
    session.prepare_threshold = 0
    session.autocommit = False


def plain(*statements: str) -> Callable[[Connection[Any]], None]:
    def leave(session: Connection[Any]) -> None:
        for statement in statements:
            session.execute(statement.encode())

    return leave


@pytest.mark.parametrize(
    "leave",
    [
        pytest.param(plain("set app.principals = 'user:ana'"), id="setting"),
        pytest.param(plain("select set_config('app.principals', 'user:ana', false)"), id="set_config"),
        pytest.param(in_a_transaction("set local app.principals = 'user:ana'"), id="open transaction"),
        pytest.param(in_a_transaction("set app.principals = 'user:ana'"), id="open transaction, setting"),
        pytest.param(broken_off, id="error half way"),
        pytest.param(plain("set search_path = public", "set timezone = 'Asia/Tokyo'"), id="names"),
        pytest.param(plain("set plan_cache_mode = force_generic_plan", "set statement_timeout = 0"), id="planner"),
        pytest.param(plain("set session characteristics as transaction read write"), id="characteristics"),
        pytest.param(plain("set role none"), id="role"),
        pytest.param(plain("set session authorization rag_writer"), id="authorization"),
        pytest.param(plain("prepare secret as select 'user:ana'", "execute secret"), id="prepared"),
        pytest.param(plain("begin", "declare c cursor with hold for select 1", "commit"), id="cursor"),
        pytest.param(plain("listen secrets"), id="listen"),
        pytest.param(plain("select pg_advisory_lock(42)"), id="lock"),
        pytest.param(plain("set default_transaction_read_only = off", "create temp table chunks ()"), id="temp table"),
        pytest.param(client_side, id="client"),
    ],
)
def test_nothing_of_a_borrower_stays(single: ReaderPool, leave: Callable[[Connection[Any]], None]) -> None:
    with single.connection() as session:
        before, process = session.execute(STATE.encode()).fetchone(), session.info.backend_pid
    borrowed = single.getconn()
    try:
        leave(borrowed)
    except psycopg.errors.DivisionByZero:
        pass
    else:
        if leave is not client_side and borrowed.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
            assert borrowed.execute(STATE.encode()).fetchone() != before, "the case shows nothing"
    single.putconn(borrowed)
    with single.connection() as session:
        assert session.info.backend_pid == process
        assert session.execute(STATE.encode()).fetchone() == before
        with session.transaction():
            assert value(session, "show transaction_isolation") == "repeatable read"
            assert value(session, "show transaction_read_only") == "on"
        assert session.autocommit


def test_threads_never_meet_each_other(settings: Settings) -> None:
    def ask(number: int) -> set[str]:
        found: set[str] = set()
        for _ in range(25):
            with pool.connection() as session:
                found.add(value(session, "select coalesce(current_setting('app.principals', true), '')"))
                session.execute("select set_config('app.principals', %s, false)", [f"user:{number}"])
        return found

    with reader_pool(settings, size=3) as pool, ThreadPoolExecutor(8) as threads:
        assert set().union(*threads.map(ask, range(8))) == {""}


def test_a_busy_pool_says_so_after_a_while(single: ReaderPool) -> None:
    with (
        single.connection(),
        pytest.raises(TransientError, match="all 1 sessions on the index are busy; try again"),
    ):
        single.getconn(timeout=0.3)
    with single.connection() as session:
        assert value(session, "select 1") == 1


def test_sessions_that_were_ended_are_replaced(settings: Settings, administrator: Connection[Any]) -> None:
    with reader_pool(settings, size=4) as pool:
        all_lent = threading.Barrier(4)

        def hold(_: int) -> int:
            with pool.connection() as session:
                all_lent.wait(timeout=240)
                return session.info.backend_pid

        with ThreadPoolExecutor(4) as threads:
            processes = list(threads.map(hold, range(4)))
        assert len(set(processes)) == 4
        ended = administrator.execute("select pg_terminate_backend(pid, 5000) from unnest(%s) as pid", [processes])
        assert all(row[0] for row in ended)
        for _ in range(6):
            with pool.connection(timeout=240) as session:
                assert session.info.backend_pid not in processes


def test_a_server_that_goes_and_comes_back(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = EmbeddedServer(home)
    server.ensure()
    settings = Settings.model_validate({"folder": home, "database": {"url": server.url("rag")}})
    prepare(settings)
    with reader_pool(settings) as pool:
        with pool.connection() as session:
            assert value(session, "select 1") == 1
        server.stop()
        with pytest.raises(TransientError, match="does not answer"):
            pool.getconn(timeout=0.5)
        server.ensure()
        with pool.connection(timeout=240) as session:
            assert value(session, "select 1") == 1
    server.stop()
    with pytest.raises(TransientError, match="does not answer"), reader_pool(settings):
        pass


def test_what_cannot_work_is_said_at_once(server: EmbeddedServer, settings: Settings) -> None:
    def opened(**database: str) -> None:
        with reader_pool(Settings.model_validate({"database": database})):
            pass

    with pytest.raises(ConfigurationError, match="lacks the extension vector"):
        opened(url=server.url("postgres"))
    with pytest.raises(ConfigurationError, match="refuses user"):
        opened(url=make_conninfo_url(settings, user="nobody_known"))
    with pytest.raises(ConfigurationError, match=r"\[database\] read_url is not a valid URL"):
        opened(url=settings.database.url, read_url="embedded")
    with pytest.raises(TransientError, match="does not answer"):
        opened(url=settings.database.url, read_url="postgresql://127.0.0.1:1/rag")


def make_conninfo_url(settings: Settings, user: str) -> str:
    """The URL of the tests' database for another login user."""
    head, _, tail = settings.database.url.partition("://")
    return f"{head}://{user}@{tail.rpartition('@')[2]}"


def test_a_session_that_is_no_reader_is_not_lent(settings: Settings) -> None:
    with connect(settings) as writer, pytest.raises(ConfigurationError, match="let the pooler pass options on"):
        _expect_reader(writer)
    with open_session(settings.database.url, "rag_reader") as reader, pytest.raises(ConfigurationError):
        _expect_reader(reader)


def test_options_may_hold_any_text(settings: Settings) -> None:
    odd = "a \\ b\tc"
    with open_session(
        make_conninfo(settings.database.url), None, {"application_name": odd, "app.text": odd}
    ) as session:
        assert value(session, "select current_setting('app.text')") == odd
