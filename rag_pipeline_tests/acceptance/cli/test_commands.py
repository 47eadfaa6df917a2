"""The installed command in processes of its own: the loop of a user, through Dagster and the embedded Postgres."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.database.connection import embedded_server
from rag_pipeline.settings import Settings

COMMAND = Path(sys.executable).with_name("rag-pipeline")


@dataclass(frozen=True)
class Shell:
    """A folder in which commands are run."""

    folder: Path

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command as a terminal would: in a process group of its own."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("RAG_", "DAGSTER_"))}
        return subprocess.Popen(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=environ | {"RAG_EMBEDDING__PROVIDER": "hashed"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def run(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """Return stdout and stderr of a command that ends with an exit code."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=240)
        assert process.returncode == code, err
        assert "Traceback" not in err
        return out, err

    def answer(self, *arguments: str, code: int = 0) -> Any:
        """Return what a command prints as JSON."""
        return json.loads(self.run(*arguments, "--json", code=code)[0])

    def write(self, name: str, text: str) -> None:
        """Write a file, and the folders above it."""
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)


@pytest.fixture
def shell() -> Iterator[Shell]:
    """An empty folder that the server's own user may enter too; its server is stopped at the end."""
    folder = Path(tempfile.mkdtemp(prefix="rag-acceptance-"))
    folder.chmod(0o711)
    yield Shell(folder)
    if (folder / "rag.toml").exists() and (server := embedded_server(Settings.read(folder / "rag.toml", {}))):
        server.stop()
        shutil.rmtree(server.home, ignore_errors=True)
    shutil.rmtree(folder)


def page(number: int, words: str = "") -> str:
    return f"# Page {number}\n\nAbout topic{number}.\n\n## More\n\nMore on topic{number}. {words}\n"


def test_a_user_begins_changes_deletes_and_goes_back(shell: Shell) -> None:
    out, _ = shell.run("init")
    assert "rag-pipeline refresh" in out
    _, err = shell.run("refresh", code=2)
    assert f"sources[docs].path: {shell.folder / 'docs'}" in err

    for number in range(20):
        shell.write(f"docs/page-{number}.md", page(number))
    out, err = shell.run("refresh")
    assert out.splitlines()[1].split()[:3] == ["docs", "20", "20"]
    assert "docs: embeddings: 40 texts\n" in err

    shell.write("docs/page-3.md", page(3, "Changed."))
    (shell.folder / "docs" / "page-4.md").rename(shell.folder / "docs" / "moved.md")
    (row,) = shell.answer("refresh")["sources"]
    changes = {key: row[key] for key in ("listed", "changed", "moved", "unchanged", "texts_embedded", "complete")}
    assert changes == {
        "listed": 20,
        "changed": 1,
        "moved": 1,
        "unchanged": 18,
        "texts_embedded": 1,
        "complete": True,
    }

    for number in range(5, 20):
        (shell.folder / "docs" / f"page-{number}.md").unlink()
    _, err = shell.run("refresh", code=1)
    assert "docs: 15 changes are withheld" in err
    assert "rag-pipeline refresh --source docs --approve-deletions 15" in err
    (row,) = shell.answer("refresh", "--source", "docs", "--approve-deletions", "15")["sources"]
    assert (row["removed"], row["withheld"]) == (15, 0)
    assert shell.answer("status")["sources"][0]["documents"] == 5

    first = shell.answer("rollback", "--source", "docs")["snapshots"][-1]["snapshot_id"]
    (row,) = shell.answer("rollback", "--source", "docs", "--to", str(first))["sources"]
    assert (row["listed"], row["texts_embedded"]) == (20, 0)
    (row,) = shell.answer("status")["sources"]
    assert (row["documents"], row["pinned_snapshot"]) == (20, first)
    (hit,) = shell.answer("search", "Page 3 More on topic3", "--as", "public", "-k", "1")["hits"]
    assert (hit["document_id"], "Changed" in hit["window"]) == ("page-3.md", False)


def test_one_source_fails_and_the_others_are_refreshed(shell: Shell) -> None:
    shell.run("init")
    with (shell.folder / "rag.toml").open("a") as file:
        file.write('[[sources]]\nname = "gone"\ntype = "files"\npath = "gone"\n')
    shell.write("docs/page.md", page(1))
    docs, gone = shell.answer("refresh", code=1)["sources"]
    assert (docs["source"], docs["added"]) == ("docs", 1)
    assert gone.keys() == {"source", "error"}
    assert "sources[gone].path" in gone["error"]


def test_the_embedded_database_starts_answers_and_stops(shell: Shell) -> None:
    shell.run("init")
    url = shell.run("db", "start")[0]
    assert shell.run("db", "url")[0] == url
    assert "/dagster?" in shell.answer("db", "url", "--dagster")["url"]
    out, _ = shell.run("db", "psql", "-At", "-c", "select current_database(), count(*) from rag.sources")
    assert out == "rag|0\n"
    assert shell.answer("db", "stop") == {"stopped": True}
    assert shell.answer("db", "stop") == {"stopped": False}
    assert shell.run("db", "stop")[0] == "it was not running\n"
    shell.run("db", "psql", "-c", "select no_such_column", code=1)


def test_an_interruption_ends_the_refresh_and_the_next_one_goes_on(shell: Shell) -> None:
    shell.run("init")
    for number in range(400):
        shell.write(f"docs/page-{number}.md", page(number))
    process = shell.start("refresh")
    assert process.stderr is not None
    assert process.stderr.readline() == "docs: source_snapshot: 400 documents\n"
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "interrupted"
    assert "Traceback" not in err
    assert shell.answer("refresh")["sources"][0]["listed"] == 400
    assert shell.answer("status")["sources"][0]["documents"] == 400
