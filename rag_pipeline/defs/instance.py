"""Where Dagster keeps its history: the database `dagster` beside the index, and a folder of the workspace.

Storage is initialised under a file lock, because Dagster creates its tables whenever it finds none and
several processes may start at once.
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from rag_pipeline.database.connection import local_folder, server_url
from rag_pipeline.database.migrate import prepare
from rag_pipeline.defs.build import FOLDER_VARIABLE
from rag_pipeline.settings import Settings

_URL_VARIABLE = "RAG_DAGSTER_URL"
_PACKAGE = Path(__file__).resolve().parents[1]


def dagster_environment(settings: Settings) -> dict[str, str]:
    """Make databases, tables and DAGSTER_HOME where missing; return the variables that a Dagster process needs.

    Raises `ConfigurationError` when the server cannot be reached or used.
    """
    with open_instance(settings):
        return _environment(settings)


def dev_command(settings: Settings, host: str, port: int) -> tuple[list[str], dict[str, str]]:
    """Return the command that serves the UI, the schedules and the run queue, and its whole environment."""
    environment = dagster_environment(settings)
    command = [sys.executable, "-W", "ignore", "-m", "dagster", "dev", "--host", host, "--port", str(port)]
    command += ["--module-name", "rag_pipeline.definitions", "--working-directory", environment["DAGSTER_HOME"]]
    # Python modules that happen to lie in the current folder, which may be an indexed one, are not to be run.
    return command, dict(os.environ) | environment | {"PYTHONSAFEPATH": "1"}


@contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Give the Dagster instance of a workspace, made where missing. Raises as `dagster_environment` does."""
    prepare(settings)
    environment = _environment(settings)
    home = Path(environment["DAGSTER_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    # dagster.yaml takes the address from here.
    os.environ[_URL_VARIABLE] = environment[_URL_VARIABLE]
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        file, wanted = home / "dagster.yaml", _configuration().read_bytes()
        # Not rewritten without need: a server may be reading it.
        if not file.exists() or file.read_bytes() != wanted:
            file.write_bytes(wanted)
        instance = dg.DagsterInstance.from_config(str(home))
    with instance:
        # By default Dagster connects anew for every statement, which is half of the time of a quiet refresh.
        instance.optimize_for_webserver(statement_timeout=60_000, pool_recycle=3600, max_overflow=5)
        yield instance


def _environment(settings: Settings) -> dict[str, str]:
    # SQLAlchemy 2.1 reads a plain postgresql:// as psycopg 3, whose errors Dagster does not understand.
    address = server_url(settings, "dagster").partition("://")[2]
    return {
        "DAGSTER_HOME": str(local_folder(settings).resolve() / "dagster"),
        _URL_VARIABLE: f"postgresql+psycopg2://{address}",
        FOLDER_VARIABLE: str(settings.folder),
    }


def _configuration() -> Path:
    """Return `dagster.yaml`: inside an installed package, else at the top of the checkout."""
    installed = _PACKAGE / "_dagster.yaml"
    return installed if installed.is_file() else _PACKAGE.parent / "dagster.yaml"
