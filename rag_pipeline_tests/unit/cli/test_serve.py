"""What `serve` and `mcp` refuse before they answer anybody."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rag_pipeline.cli import main


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "rag.toml").write_text('[database]\nurl = "postgresql://127.0.0.1:1/rag"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    for word in words:
        assert word in result.stderr


def run(command: str) -> Result:
    return CliRunner().invoke(main, shlex.split(command), prog_name="rag-pipeline")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "search.example.com", "127.0.0.1.example.com", ""])
def test_a_fixed_caller_is_for_this_machine_alone(host: str) -> None:
    refused(run(f"serve --as user:ana --host '{host}'"), "makes everyone", "the caller user:ana")


def test_a_caller_must_be_one_and_a_model_must_have_one() -> None:
    refused(run("mcp"), "say on whose behalf", "--as user:NAME")
    for command in ("mcp", "serve"):
        refused(run(f"{command} --as ana"), "'ana' is not a principal")


def test_without_an_index_nothing_is_served(folder: Path) -> None:
    for command in ("serve --as public", "mcp --as public"):
        result = run(command)
        assert result.exit_code == 1
        assert "does not answer" in result.stderr
        assert result.stdout == ""
    (folder / "rag.toml").unlink()
    refused(run("serve"), "rag-pipeline init")


@pytest.mark.parametrize(
    ("command", "library", "extra"),
    [
        ("serve", "fastapi", "service"),
        ("serve", "uvicorn", "service"),
        ("serve", "jwt", "service"),
        ("serve", "prometheus_client", "service"),
        ("mcp", "mcp", "mcp"),
    ],
)
def test_a_missing_extra_is_named(folder: Path, command: str, library: str, extra: str) -> None:
    program = f"import sys; sys.modules[{library!r}] = None; from rag_pipeline.cli import main; main()"
    finished = subprocess.run(
        [sys.executable, "-c", program, command, "--as", "public"], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 2, finished.stderr
    assert f"needs the extra '{extra}'; install it: pip install 'rag-pipeline[{extra}]'" in finished.stderr
    assert "Traceback" not in finished.stderr
