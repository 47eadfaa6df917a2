"""The verbs of migration, their JSON and their exit codes, and what `refresh` and `status` say of generations."""

import json
import shlex
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rag_pipeline.cli import main
from rag_pipeline.index.migration import Flip, MigrationStatus, Plan, SourceProgress
from rag_pipeline.settings import Settings
from rag_pipeline.stages import Pipeline

OTHER = "[chunking]\nmax_tokens = 100\n"
PAGES = 6


@pytest.fixture
def folder(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with one source of six pages; nothing is refreshed yet."""
    folder = settings.folder
    (folder / "rag.toml").write_text(
        f'[database]\nurl = "{settings.database.url}"\n[embedding]\nprovider = "hashed"\n'
        '[[sources]]\nname = "docs"\ntype = "files"\npath = "docs"\naccess = ["public"]\n'
    )
    (folder / "docs").mkdir()
    for number in range(PAGES):
        text = f"# Page {number}\n\n" + "\n\n".join(f"Words {word} of topic {number}. " * 6 for word in range(6))
        (folder / "docs" / f"page-{number}.md").write_text(text + "\n")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def changed(folder: Path) -> Path:
    """The workspace, refreshed, with settings that its index was not made with."""
    Pipeline(Settings.load()).refresh("docs")
    with (folder / "rag.toml").open("a") as file:
        file.write(OTHER)
    return folder


def run(command: str) -> Result:
    return CliRunner().invoke(main, shlex.split(command), prog_name="rag-pipeline")


def answer(command: str, code: int = 0) -> Any:
    """Return what a command prints as JSON, having ended with an exit code."""
    result = run(f"{command} --json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def refused(command: str, *words: str, code: int = 2) -> None:
    result = run(command)
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    for word in words:
        assert word in result.stderr


def names(kind: Any) -> set[str]:
    return {field.name for field in fields(kind)}


@pytest.mark.parametrize("verb", ["plan", "start", "status", "publish", "rollback"])
def test_before_the_first_refresh_there_is_nothing_to_migrate(folder: Path, verb: str) -> None:
    refused(f"migrate {verb}", "nothing is indexed yet", "rag-pipeline refresh")


def test_where_nothing_differs_every_verb_says_so(folder: Path) -> None:
    Pipeline(Settings.load()).refresh("docs")
    assert answer("migrate plan")["differences"] == []
    assert "there is nothing to migrate" in run("migrate plan").stdout
    refused("migrate start", "nothing to migrate")
    refused("migrate publish", "no generation is being built", "rag-pipeline migrate start")
    refused("migrate rollback", "no generation to go back to")
    refused("migrate drop 1", "generation 1 is live")
    refused("migrate drop 7", "no generation 7")
    shown = run("migrate status")
    assert shown.stdout == "generation 1 is live, model hashed/64\n"
    assert shown.stderr == ""


def test_refresh_and_status_tell_what_differs_and_go_on(changed: Path) -> None:
    (changed / "docs" / "new.md").write_text("# New\n\nText.\n")
    difference = {"part": "max_tokens", "live": 200, "wanted": 100}
    found = answer("refresh")
    assert [row["added"] for row in found["sources"]] == [1]
    assert (found["generation"], found["building"], found["differences"]) == (1, None, [difference])
    found = answer("status")
    assert (found["generation"], found["model"], found["building"]) == (1, "hashed/64", None)
    assert found["differences"] == [difference]
    for verb in ("refresh", "status"):
        said = run(verb).stderr
        assert "generation 1 stays as it was made: max_tokens is 200 in the index and 100 in the settings" in said
        assert "rag-pipeline migrate plan" in said


def test_from_the_plan_to_the_publication_and_back(changed: Path) -> None:
    planned = answer("migrate plan")
    assert planned.keys() == names(Plan)
    assert (planned["live"], planned["generation"], planned["documents"]) == (1, 2, PAGES)
    shown = run("migrate plan").stdout
    assert "generation 2, model hashed/64, instead of 1\n  max_tokens is 200 in the index and 100 in" in shown
    assert shown.endswith("build it: rag-pipeline migrate start\n")

    started = answer("migrate start")
    assert started.keys() == names(MigrationStatus)
    (source,) = started["sources"]
    assert source.keys() == names(SourceProgress)
    assert (started["generation"], started["ready"]) == (2, True)
    assert (source["documents"], source["chunks"]) == (PAGES, planned["chunks"])
    assert source["texts_total"] == planned["texts_to_embed"]
    assert answer("migrate status") == started
    shown = run("migrate status")
    assert "docs    6 of 6" in shown.stdout
    assert "generation 2 is complete; publish it: rag-pipeline migrate publish" in shown.stderr
    assert "generation 2 is being built beside generation 1" in run("status").stderr

    (changed / "docs" / "new.md").write_text("# New\n\nText.\n")
    assert answer("refresh")["building"] == 2
    assert answer("migrate status")["ready"]

    flip = answer("migrate publish")
    assert flip.keys() == names(Flip)
    assert (flip["live"], flip["previous"]) == (2, 1)
    assert answer("status")["generation"] == 2
    assert run("refresh").stderr.count("generation") == 0
    assert answer("search 'topic 3' --as public -k 3")["hits"]

    back = run("migrate rollback").stdout
    assert back.startswith("generation 1 is live now instead of 2")
    assert "rag-pipeline refresh" in back
    refused("migrate drop 1", "generation 1 is live")
    assert run("migrate drop 2").stdout == "generation 2 is dropped\n"
    refused("migrate drop 2", "no generation 2")
    assert answer("search 'topic 3' --as public -k 3")["hits"]


def test_what_readers_would_miss_is_published_by_force_alone(changed: Path) -> None:
    shutil.rmtree(changed / ".rag" / "blobs")
    started = answer("migrate start")
    assert started["sources"][0]["quarantined"] == PAGES
    refused("migrate publish", "is not published", "--force", code=1)
    assert answer("status")["generation"] == 1
    assert answer("migrate publish --force")["live"] == 2


def test_a_model_that_cannot_be_opened_hides_nothing(changed: Path) -> None:
    text = (changed / "rag.toml").read_text()
    (changed / "rag.toml").write_text(
        text.replace('provider = "hashed"', 'provider = "local"\nmodel = "example/none"\npath = "nowhere"')
    )
    found = answer("status")
    assert (found["generation"], found["sources"][0]["documents"]) == (1, PAGES)
    assert "nowhere" in found["problem"]
    assert "what the settings want cannot be" in run("status").stderr
    refused("migrate plan", "nowhere")
