"""What is refused or written before any database is asked."""

import json
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from rag_pipeline import __version__
from rag_pipeline.cli import main
from rag_pipeline.settings import Settings

SOURCE = '[[sources]]\nname = "docs"\ntype = "files"\npath = "docs"\naccess = ["public"]\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: str) -> Result:
    return CliRunner().invoke(main, shlex.split(command), prog_name="rag-pipeline")


def refused(command: str, *words: str) -> None:
    """The command ends with exit code 2, says all of `words` on stderr, and prints nothing else."""
    result = run(command)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


def commands(group: click.Group, path: str = "") -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    for name, command in group.commands.items():
        found.append((f"{path}{name}", command))
        if isinstance(command, click.Group):
            found += commands(command, f"{path}{name} ")
    return found


def test_the_verbs_are_those_of_the_design() -> None:
    verbs = {
        "init",
        "refresh",
        "rollback",
        "status",
        "sources",
        "quarantine",
        "usage",
        "verify",
        "housekeeping",
        "search",
        "ask",
        "serve",
        "mcp",
        "dev",
    }
    groups = {
        "eval",
        "eval compare",
        "eval draft",
        "eval gaps",
        "db",
        "db start",
        "db stop",
        "db url",
        "db psql",
        "migrate",
        "migrate plan",
        "migrate start",
        "migrate status",
        "migrate publish",
        "migrate rollback",
        "migrate drop",
        "members",
        "members add",
        "members of",
        "members remove",
    }
    assert {name for name, _ in commands(main)} == verbs | groups


@pytest.mark.parametrize("name", [name for name, _ in commands(main)])
def test_every_verb_and_option_explains_itself(name: str) -> None:
    command = dict(commands(main))[name]
    assert command.help
    assert all(option.help for option in command.params if isinstance(option, click.Option))
    result = run(f"{name} --help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: rag-pipeline {name}")


def test_verbs_print_json_on_request() -> None:
    without = {name for name, command in commands(main) if all(option.name != "as_json" for option in command.params)}
    assert without == {"db", "db psql", "migrate", "dev", "serve", "mcp"}


def test_the_version_is_told() -> None:
    assert run("--version").stdout == f"rag-pipeline, version {__version__}\n"


def test_init_writes_a_file_that_settings_understand(folder: Path) -> None:
    result = run("init new/place")
    assert (result.exit_code, result.stderr) == (0, "")
    settings = Settings.read(folder / "new" / "place" / "rag.toml", {})
    assert [(source.name, source.type, source.access) for source in settings.sources] == [
        ("docs", "files", ("public",))
    ]
    assert result.stdout.splitlines()[1:] == [
        "  cd new/place",
        "  rag-pipeline refresh",
        "  rag-pipeline search 'your question' --as public",
    ]


def test_init_never_overwrites(folder: Path) -> None:
    (folder / "rag.toml").write_text("# mine")
    refused("init", "rag.toml exists already")
    assert (folder / "rag.toml").read_text() == "# mine"
    assert json.loads(run("init other --json").stdout) == {"file": str(folder / "other" / "rag.toml")}


def test_init_names_what_is_in_its_way(folder: Path) -> None:
    (folder / "file").write_text("")
    refused("init file/below", "file/below", "Not a directory")
    refused("init file", "is a file")


@pytest.mark.parametrize(
    "verb", ["refresh", "status", "sources", "verify", "quarantine", "usage", "housekeeping", "db url"]
)
def test_without_rag_toml_every_verb_says_how_to_begin(verb: str) -> None:
    refused(verb, "no rag.toml in", "rag-pipeline init")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SOURCE + "pth = 1\n", ["rag.toml: sources[docs].pth: unknown key"]),
        (SOURCE + SOURCE, ["two sources are named 'docs'"]),
        ("[database]\nurl = 5\n", ["rag.toml: database.url"]),
        ("not toml", ["rag.toml"]),
    ],
)
def test_a_wrong_rag_toml_is_named_with_the_remedy(folder: Path, text: str, words: list[str]) -> None:
    (folder / "rag.toml").write_text(text)
    refused("refresh", *words)


def test_no_sources_and_unknown_sources_are_named(folder: Path) -> None:
    (folder / "rag.toml").write_text("")
    refused("refresh", "rag.toml: no sources; add a [[sources]] table")
    (folder / "rag.toml").write_text(SOURCE)
    for verb in ("refresh", "verify", "sources", "quarantine", "search key --as public", "rollback"):
        refused(f"{verb} --source dcos", "no source is named 'dcos'", "configured: docs")


def test_sources_tells_which_can_be_reached(folder: Path) -> None:
    there, gone = SOURCE, SOURCE.replace('"docs"', '"gone"').replace('access = ["public"]\n', "")
    (folder / "rag.toml").write_text(there + gone)
    (folder / "docs").mkdir()
    result = run("sources --json")
    rows = json.loads(result.stdout)["sources"]
    assert [(row["source"], row["type"], row["place"], row["access"], row["ok"]) for row in rows] == [
        ("docs", "files", "docs", ["public"], True),
        ("gone", "files", "gone", [], False),
    ]
    assert rows[0]["error"] is None
    assert "sources[gone].path" in rows[1]["error"]
    assert result.exit_code == 1
    shown = run("sources")
    assert [line.split() for line in shown.stdout.splitlines()[1:]] == [
        ["docs", "files", "docs", "public", "yes"],
        ["gone", "files", "gone", "nobody", "no"],
    ]
    assert "sources[gone].path" in shown.stderr
    assert run("sources --source docs").exit_code == 0
    assert run("sources --source gone").exit_code == 2


def test_approvals_need_a_source_and_a_real_refresh() -> None:
    refused("refresh --approve-deletions 5", "--approve-deletions needs --source")
    refused("refresh --approve-widenings 5", "--approve-widenings needs --source")
    refused("refresh --source docs --dry-run --approve-deletions 5", "leave --dry-run out")
    refused("refresh --source docs --approve-deletions 0", "x>=1")


def test_rollback_needs_a_source_and_a_number() -> None:
    refused("rollback", "--source")
    refused("rollback --source docs --to yesterday", "neither a snapshot's number nor latest")


def test_search_needs_a_caller() -> None:
    refused("search key", "say on whose behalf", "--as user:NAME", "--as public")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ("--as ana", "'ana' is not a principal"),
        ("--as public --where {", "is no JSON"),
        ("--as public --where [1]", "is no JSON object"),
        ("--as public --where '{\"a\": NaN}'", "object of JSON values"),
        ("--as public --since yesterday", "'yesterday' is no date; write 2026-01-31"),
        ("--as public -k many", "is not a valid integer"),
    ],
)
def test_search_explains_what_it_does_not_understand(folder: Path, options: str, word: str) -> None:
    (folder / "rag.toml").write_text(SOURCE)
    refused(f"search key {options}", word)


def test_a_server_that_is_not_ours_is_not_stopped(folder: Path) -> None:
    (folder / "rag.toml").write_text('[database]\nurl = "postgresql://127.0.0.1:1/rag"\n')
    refused("db stop", "a server of your own")


@pytest.mark.parametrize("verb", ["refresh", "status", "verify", "quarantine", "search key --as public", "db start"])
def test_a_server_that_does_not_answer_is_named_without_its_password(folder: Path, verb: str) -> None:
    (folder / "rag.toml").write_text(f'[database]\nurl = "postgresql://ana:secret@127.0.0.1:1/rag"\n{SOURCE}')
    result = run(verb)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "127.0.0.1:1" in result.stderr
    assert "[database] url" in result.stderr
    assert "secret" not in result.stderr


def test_debugging_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_DEBUG", "1")
    assert "no rag.toml" in str(run("status").exception)
