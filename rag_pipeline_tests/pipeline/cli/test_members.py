"""`rag-pipeline members`: what it says, what it refuses, and that a search follows it at once."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rag_pipeline.cli import main
from rag_pipeline.settings import Settings
from rag_pipeline.stages import Pipeline


@pytest.fixture(autouse=True)
def folder(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with one document, for engineers; nothing is refreshed yet."""
    (settings.folder / "rag.toml").write_text(
        f'[database]\nurl = "{settings.database.url}"\n[embedding]\nprovider = "hashed"\n'
        '[[sources]]\nname = "docs"\ntype = "files"\npath = "docs"\naccess = ["group:eng"]\n'
    )
    (settings.folder / "docs").mkdir()
    (settings.folder / "docs" / "engines.md").write_text("# Engines\n\nHow engines are built.\n")
    monkeypatch.chdir(settings.folder)
    return settings.folder


def run(command: str) -> Result:
    return CliRunner().invoke(main, shlex.split(command), prog_name="rag-pipeline")


def answer(command: str, code: int = 0) -> dict[str, Any]:
    result = run(f"{command} --json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_members_come_and_go() -> None:
    assert answer("members") == {"members": []}
    assert "rag-pipeline members add GROUP PRINCIPAL" in run("members").stdout
    added = answer("members add group:eng user:cy user:ana group:core user:ana")
    assert added == {"group": "group:eng", "added": ["group:core", "user:ana", "user:cy"], "already": []}
    assert run("members add group:core user:bo").stdout == "group:core: 1 added\n"
    assert run("members add group:core user:bo user:di").stdout == "group:core: 1 added, 1 already there\n"
    assert answer("members")["members"][:2] == [
        {"group": "group:core", "member": "user:bo"},
        {"group": "group:core", "member": "user:di"},
    ]
    lines = run("members").stdout.splitlines()
    assert [line.split() for line in (lines[0], lines[-1])] == [["group", "member"], ["group:eng", "user:cy"]]
    assert answer("members of user:bo") == {
        "principal": "user:bo",
        "principals": ["group:core", "group:eng", "public", "user:bo"],
    }
    assert run("members of user:bo").stdout.split() == ["user:bo", "public", "group:core", "group:eng"]
    assert answer("members remove group:eng user:ana") == {"group": "group:eng", "removed": ["user:ana"], "missing": []}
    assert run("members of user:ana").stdout.split() == ["user:ana", "public"]


def test_who_was_no_direct_member_is_told() -> None:
    run("members add group:eng group:core user:ana")
    run("members add group:core user:bo")
    result = run("members remove group:eng user:ana user:bo")
    assert (result.exit_code, result.stdout) == (1, "group:eng: 1 removed\n")
    assert result.stderr == (
        "user:bo: was no direct member of group:eng; see what it is in: rag-pipeline members of user:bo\n"
    )
    found = answer("members remove group:eng user:ana", code=1)
    assert found == {"group": "group:eng", "removed": [], "missing": ["user:ana"]}


def test_a_circle_is_refused_with_the_way_out() -> None:
    run("members add group:a group:b")
    run("members add group:b group:c")
    result = run("members add group:c user:ana group:a")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "Error: group:a cannot become a member of group:c: group:c is itself a member of group:a, directly or through "
        "other groups. Remove a membership on the way from one to the other first.\n"
    )
    assert run("members of user:ana").stdout.split() == ["user:ana", "public"], "all or none"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("members add group:eng", "PRINCIPAL"),
        ("members add user:ana group:eng", "user:ana is a person; the group comes first, then its members"),
        ("members add group:eng public", "public is everyone already"),
        ("members add public user:ana", "public is everyone already"),
        ("members add group:eng ana", "'ana' is not a principal; write 'public', 'user:NAME' or 'group:NAME'"),
        ("members remove group:eng 'user: ana'", "is not a principal"),
        ("members of GROUP:eng", "is not a principal"),
        ("members --json of user:ana", "write --json behind the command: members of"),
        ("members list", "No such command"),
    ],
)
def test_wrong_use_is_told(command: str, reason: str) -> None:
    result = run(command)
    assert (result.exit_code, result.stdout) == (2, "")
    assert reason in result.stderr


def test_a_search_follows_membership_at_once(settings: Settings) -> None:
    Pipeline(Settings.load()).refresh("docs")
    asked = "search 'how engines are built' --as user:ana"
    assert answer(asked)["hits"] == []
    run("members add group:eng group:core")
    run("members add group:core user:ana")
    assert [hit["document_id"] for hit in answer(asked)["hits"]] == ["engines.md"]
    run("members remove group:eng group:core")
    assert answer(asked)["hits"] == []
