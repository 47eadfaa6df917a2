import subprocess
import sys
from typing import Any

import numpy as np
import psycopg
import pytest
from pgvector import HalfVector
from psycopg import Connection
from psycopg.conninfo import make_conninfo

from rag_pipeline.database.connection import connect, open_session
from rag_pipeline.database.embedded import EmbeddedServer
from rag_pipeline.errors import ConfigurationError, TransientError
from rag_pipeline.settings import Settings


def _who(connection: Connection[Any]) -> tuple[Any, ...]:
    row = connection.execute(
        "select current_user, current_setting('TimeZone'), current_setting('application_name')"
    ).fetchone()
    assert row is not None
    return row


@pytest.mark.parametrize("role", ["rag_writer", "rag_reader"])
def test_a_session_has_its_role_whatever_is_reset(settings: Settings, role: Any) -> None:
    with connect(settings, role) as connection:
        assert _who(connection) == (role, "UTC", "rag-pipeline")
        connection.execute("reset role")
        assert _who(connection)[0] == role
        connection.execute("discard all")
        assert _who(connection)[0] == role


def test_without_a_role_it_is_the_login_user(settings: Settings) -> None:
    with connect(settings, None) as connection:
        assert _who(connection)[0] == connection.info.user


def test_vectors_travel_as_vectors(connection: Connection[Any]) -> None:
    row = connection.execute(
        "select %s::halfvec, '[1,2]'::vector, '{1:3}/4'::sparsevec", [HalfVector([0.5, 2])]
    ).fetchone()
    assert row is not None
    assert row[0].to_list() == [0.5, 2.0]
    assert np.array_equal(np.asarray(row[1]), [1, 2]) or row[1].to_list() == [1, 2]
    assert row[2].to_list() == [3, 0, 0, 0]


@pytest.mark.parametrize("autocommit", [True, False])
def test_autocommit_is_as_asked(settings: Settings, autocommit: bool) -> None:
    with connect(settings, autocommit=autocommit) as connection:
        assert connection.autocommit is autocommit
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


@pytest.mark.parametrize(
    "url", ["postgresql://ana:sesame@127.0.0.1:1/rag", "postgresql://ana:sesame@no-such-host.invalid/rag"]
)
def test_a_server_that_does_not_answer_may_be_tried_again(url: str) -> None:
    settings = Settings.model_validate({"database": {"url": url}})
    with pytest.raises(TransientError, match=r"does not answer.*\[database\] url") as raised:
        connect(settings)
    assert "127.0.0.1:1," in str(raised.value) or "no-such-host.invalid:5432" in str(raised.value)
    assert "sesame" not in str(raised.value)


def test_a_server_that_refuses_is_misconfigured(server: EmbeddedServer, settings: Settings) -> None:
    with pytest.raises(
        ConfigurationError, match=r"'no_such_database'.*refuses user 'postgres'.*correct \[database\] url"
    ):
        open_session(server.url("no_such_database"), role=None)
    with pytest.raises(ConfigurationError, match="refuses user 'nobody_known'"):
        open_session(make_conninfo(settings.database.url, user="nobody_known", password="sesame"), role=None)


def test_a_database_that_is_not_prepared_says_so(server: EmbeddedServer, template: str) -> None:
    settings = Settings.model_validate({"database": {"url": server.url("postgres")}})
    with pytest.raises(ConfigurationError, match="'postgres' lacks the extension vector; prepare it"):
        connect(settings)


def test_a_full_server_may_be_tried_again(server: EmbeddedServer, administrator: Connection[Any]) -> None:
    administrator.execute("drop role if exists one_at_a_time")
    administrator.execute("create role one_at_a_time login connection limit 1")
    url = make_conninfo(server.url("postgres"), user="one_at_a_time")
    with open_session(url, role=None), pytest.raises(TransientError, match="has no free connection"):
        open_session(url, role=None)


def test_asking_the_index_loads_little() -> None:
    code = "import sys, rag_pipeline.database.connection; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"dagster", "pandas", "pyarrow", "pydantic", "sqlalchemy"} & set(loaded)
