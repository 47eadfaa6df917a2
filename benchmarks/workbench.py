"""A workspace as a user has it, in a temporary folder: rag.toml, the embedded Postgres with its own settings.

What is measured on it is what a user gets. At the end the server is stopped and the folder removed, unless
it is kept for another benchmark.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import Connection

from rag_pipeline.database.connection import embedded_server, open_session, server_url
from rag_pipeline.database.embedded import EmbeddedServer
from rag_pipeline.settings import FILE_NAME, Settings

SOURCE = "corpus"
_FILES = 'type = "files"\npath = "documents"\ninclude = ["**/*.md"]'
_TOML = """\
[embedding]
provider = "{provider}"

[[sources]]
name = "{name}"
access = ["public"]
{source}
"""


@dataclass(frozen=True, slots=True)
class Workbench:
    """One workspace with one source, `SOURCE`."""

    settings: Settings
    server: EmbeddedServer

    @property
    def folder(self) -> Path:
        """Where rag.toml lies."""
        return self.settings.folder

    @property
    def documents(self) -> Path:
        """The folder that is indexed."""
        return self.folder / "documents"

    def administrator(self, database: str = "rag") -> Connection[Any]:
        """Open a session of the superuser, who sees what the whole server does."""
        return open_session(self.server.url(database), role=None)

    def settle(self) -> None:
        """Let Postgres finish what an earlier step left over, so that it is not measured as part of the next."""
        with self.administrator() as connection:
            connection.execute("vacuum analyze")
            connection.execute("checkpoint")


@contextmanager
def workbench(source: str = _FILES, provider: str = "hashed", kept: Path | None = None) -> Iterator[Workbench]:
    """Give a workspace whose server runs; `source` is the rest of the source's table in rag.toml.

    It is a new one, unless it was `kept` in a folder: then it stays there, and what is in it too.
    """
    folder = kept or Path(tempfile.mkdtemp(prefix="rag-bench-"))
    folder.mkdir(exist_ok=True)
    # As root the server runs as another user, who must be able to enter.
    folder.chmod(0o711)
    (folder / FILE_NAME).write_text(_TOML.format(provider=provider, name=SOURCE, source=source), "utf-8")
    settings = Settings.read(folder / FILE_NAME, environ={})
    server = embedded_server(settings)
    assert server is not None
    try:
        server_url(settings)
        yield Workbench(settings, server)
    finally:
        server.stop()
        if kept is None:
            shutil.rmtree(folder)


def wal_position(connection: Connection[Any]) -> int:
    """Return how many bytes of write-ahead log the server has ever written, whoever caused them."""
    row = connection.execute("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::int8").fetchone()
    assert row
    return row[0]


def environment() -> dict[str, str]:
    """Return the environment for a process that reads a rag.toml: this one's, without settings of its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RAG_")}
