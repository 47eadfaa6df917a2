"""One Postgres for the whole test run, one database per worker, a clean copy of it per test.

The server is the product's own embedded one, in a temporary folder that the controlling process chooses
and removes; whichever worker needs it first starts it.
"""

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from psycopg import Connection

from rag_pipeline.database import pool
from rag_pipeline.database.connection import connect, open_session
from rag_pipeline.database.embedded import EmbeddedServer
from rag_pipeline.database.migrate import prepare
from rag_pipeline.query import query_log
from rag_pipeline.settings import Settings
from rag_pipeline_tests.databases import copy_database

_HOME = pytest.StashKey[Path]()

# However long a slow or busy machine takes for an example: that says nothing about the property.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    given = getattr(config, "workerinput", {}).get("postgres_home")
    config.stash[_HOME] = Path(given or tempfile.mkdtemp(prefix="rag-pipeline-tests-"))
    # As root the server runs as another user, who must be able to enter.
    config.stash[_HOME].chmod(0o711)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["postgres_home"] = str(node.config.stash[_HOME])


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        EmbeddedServer(config.stash[_HOME]).stop()
        shutil.rmtree(config.stash[_HOME])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what may take longest, so that no worker is left with it alone at the end."""

    def at_most(item: pytest.Item) -> float:
        limit = item.get_closest_marker("timeout")
        return limit.args[0] if limit else item.config.getoption("timeout") or 0

    items.sort(key=at_most, reverse=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_skips_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_skips_in_ci(report)
    return report


def _fail_skips_in_ci(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Where everything must be installed, a test skipped because it "needs" something has failed."""
    reason = report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""
    if os.environ.get("CI") == "true" and report.skipped and reason.startswith("needs "):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where nothing may be missing: {reason}"


@pytest.fixture(scope="session", autouse=True)
def _patience() -> Iterator[None]:
    """Wait for sessions, and for what is logged at the end, as long as a slow or busy machine takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "_WAIT_SECONDS", 240.0)
        patch.setattr(query_log, "_CLOSING_SECONDS", 240.0)
        yield


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config) -> EmbeddedServer:
    """The server of the test run."""
    server = EmbeddedServer(pytestconfig.stash[_HOME])
    server.ensure()
    return server


@pytest.fixture(scope="session")
def administrator(server: EmbeddedServer) -> Iterator[Connection[Any]]:
    """The superuser's session, outside of any test's database."""
    with open_session(server.url("postgres"), role=None) as connection:
        # A test run survives no power failure, and is faster without preparing for one.
        connection.execute("alter system set fsync = off")
        connection.execute("select pg_reload_conf()")
        yield connection


@pytest.fixture(scope="session")
def template(server: EmbeddedServer, administrator: Connection[Any], worker_id: str) -> str:
    """The name of a database that is prepared, empty and never used."""
    name = f"template_{worker_id}"
    prepare(Settings.model_validate({"database": {"url": server.url(name)}}))
    return name


@pytest.fixture
def settings(
    server: EmbeddedServer, administrator: Connection[Any], template: str, worker_id: str, tmp_path: Path
) -> Settings:
    """A workspace in an empty folder, over an empty, prepared index."""
    copy_database(administrator, template, f"test_{worker_id}")
    return Settings.model_validate(
        {
            "folder": tmp_path,
            "database": {"url": server.url(f"test_{worker_id}")},
            "embedding": {"provider": "hashed"},
        }
    )


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection[Any]]:
    """A session of the pipeline on the index of `settings`."""
    with connect(settings) as connection:
        yield connection


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder for an embedded server of the test's own; what runs there at the end is stopped."""
    folder = Path(tempfile.mkdtemp(prefix="rag-home-"))
    folder.chmod(0o711)
    yield folder / "postgres"
    EmbeddedServer(folder / "postgres").stop()
    shutil.rmtree(folder)
