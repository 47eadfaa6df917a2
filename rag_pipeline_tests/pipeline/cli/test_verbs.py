"""Every verb that works on an index, its JSON and its exit codes, on a real Postgres; what needs a Dagster run is
in the acceptance tests."""

import json
import shlex
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rag_pipeline.cli import main
from rag_pipeline.database.connection import connect
from rag_pipeline.settings import Settings
from rag_pipeline.stages import Pipeline

REFRESH_KEYS = {
    *("source", "snapshot_id", "complete", "listed", "added", "changed", "moved", "access_changed"),
    *("metadata_changed", "removed", "restored", "unchanged", "withheld", "quarantined", "chunks_written"),
    *("chunks_deleted", "texts_embedded", "tokens", "cost_usd", "seconds"),
}
STATUS_KEYS = {"source", "documents", "chunks", "as_of", "stale", "oldest_unpublished_change", "quarantined"}
HIT_KEYS = [
    "chunk_id",
    "document_id",
    "source",
    "uri",
    "title",
    "heading_path",
    "text",
    "window",
    "modified_at",
    "position",
    "place",
    "stale",
    "version",
    "twins",
]


@pytest.fixture
def folder(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with 20 documents, two of them for engineers, in a source of two; nothing is refreshed yet."""
    folder = settings.folder
    (folder / "rag.toml").write_text(
        f'[database]\nurl = "{settings.database.url}"\n[embedding]\nprovider = "hashed"\n'
        '[[sources]]\nname = "docs"\ntype = "files"\npath = "docs"\naccess = ["public"]\n'
        '[[sources]]\nname = "notes"\ntype = "files"\npath = "notes"\naccess = ["group:eng"]\n'
    )
    for source, count in (("docs", 18), ("notes", 2)):
        (folder / source).mkdir()
        for number in range(count):
            text = f"---\nnumber: {number}\n---\n# Page {number}\n\nThis is the topic{number} of {source}.\n"
            (folder / source / f"page-{number}.md").write_text(text)
    monkeypatch.chdir(folder)
    return folder


def refreshed() -> None:
    pipeline = Pipeline(Settings.load())
    for source in pipeline.settings.sources:
        pipeline.refresh(source.name)


def run(command: str) -> Result:
    return CliRunner().invoke(main, shlex.split(command), prog_name="rag-pipeline")


def answer(command: str, code: int = 0) -> dict[str, Any]:
    """Return what a command prints as JSON, having ended with an exit code."""
    result = run(f"{command} --json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_status_before_the_first_refresh(folder: Path) -> None:
    found = answer("status")
    assert (found["generation"], found["model"]) == (None, None)
    assert [(row["source"], row["documents"], row["as_of"]) for row in found["sources"]] == [
        ("docs", 0, None),
        ("notes", 0, None),
    ]
    assert "nothing was refreshed yet; start with: rag-pipeline refresh" in run("status").stdout


def test_status_tells_size_freshness_and_what_waits(folder: Path) -> None:
    (folder / "docs" / "locked.md").write_bytes(b"\x00\x01\x02" * 100)
    refreshed()
    found = answer("status")
    docs, notes = found["sources"]
    assert docs.keys() >= STATUS_KEYS
    assert (found["generation"], found["model"]) == (1, "hashed/64")
    assert (docs["source"], docs["documents"], docs["chunks"], docs["stale"]) == ("docs", 18, 18, False)
    assert (docs["quarantined"], notes["quarantined"]) == (1, 0)
    assert datetime.fromisoformat(docs["oldest_unpublished_change"]).tzinfo is not None
    assert datetime.fromisoformat(docs["as_of"]) <= datetime.fromisoformat(notes["as_of"])
    shown = run("status")
    assert "generation 1, model hashed/64" in shown.stdout
    assert shown.stderr == ""


def test_status_tells_stale_held_and_forgotten_sources(folder: Path, settings: Settings) -> None:
    refreshed()
    with connect(settings) as connection:
        connection.execute("update rag.snapshots set started_at = started_at - interval '1 day' where source = 'docs'")
    result = run("status")
    assert result.exit_code == 0
    assert result.stderr == "docs: is stale; bring it up to date: rag-pipeline refresh --source docs\n"
    Pipeline(Settings.load()).hold("docs", 1)
    assert run("status").stderr.endswith("let it go on: rag-pipeline rollback --source docs --to latest\n")
    text = (folder / "rag.toml").read_text()
    (folder / "rag.toml").write_text(text.replace('name = "docs"', 'name = "manual"'))
    assert [(row["source"], row["configured"]) for row in answer("status")["sources"]] == [
        ("manual", True),
        ("notes", True),
        ("docs", False),
    ]
    assert "docs: is in the index, but not in rag.toml" in run("status").stderr


def test_a_dry_run_tells_everything_and_changes_nothing(folder: Path) -> None:
    found = answer("refresh --dry-run")["sources"]
    assert [row["source"] for row in found] == ["docs", "notes"]
    assert found[0].keys() >= REFRESH_KEYS
    assert (found[0]["dry_run"], found[0]["added"], found[0]["texts_embedded"]) == (True, 18, 18)
    assert [row["documents"] for row in answer("status")["sources"]] == [0, 0]
    shown = run("refresh --dry-run --source docs")
    assert shown.stdout.splitlines()[0].split()[:3] == ["source", "listed", "added"]
    assert "docs: embeddings" not in shown.stderr
    assert "docs: a dry run; nothing was embedded or published" in shown.stderr


def test_a_source_that_fails_does_not_stop_the_others(folder: Path) -> None:
    for file in (folder / "docs").iterdir():
        file.unlink()
    (folder / "docs").rmdir()
    docs, notes = answer("refresh --dry-run", code=1)["sources"]
    assert docs.keys() == {"source", "error"}
    assert "sources[docs].path" in docs["error"]
    assert notes["added"] == 2
    result = run("refresh --dry-run --source docs")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "docs: failed: rag.toml: sources[docs].path" in result.stderr


def test_withheld_deletions_come_with_the_command_that_approves_them(folder: Path) -> None:
    refreshed()
    for number in range(15):
        (folder / "docs" / f"page-{number}.md").unlink()
    docs, _ = answer("refresh --dry-run", code=1)["sources"]
    assert (docs["withheld"], docs["removed"]) == (15, 0)
    shown = run("refresh --dry-run")
    assert "rag-pipeline refresh --source docs --approve-deletions 15" in shown.stderr


def test_other_settings_stop_nothing(folder: Path) -> None:
    refreshed()
    with (folder / "rag.toml").open("a") as file:
        file.write("[chunking]\nmax_tokens = 100\n")
    for verb in ("refresh", "refresh --dry-run", "verify", "rollback --source docs", "housekeeping"):
        assert run(verb).exit_code == 0, verb
    assert run("search topic3 --as public").exit_code == 0


def test_what_another_version_made_is_refreshed_no_more(folder: Path, settings: Settings) -> None:
    refreshed()
    with connect(settings) as connection:
        connection.execute("update rag.generations set recipe = recipe || '{\"parser_version\": 0}'")
    for verb in ("refresh", "refresh --dry-run", "verify", "rollback --source docs"):
        result = run(verb)
        assert (result.exit_code, result.stdout) == (2, ""), verb
        assert "parser_version is 0 in the index" in result.stderr
        assert "rag-pipeline migrate start" in result.stderr
    for verb in ("search topic3 --as public", "status", "housekeeping"):
        assert run(verb).exit_code == 0, verb


def test_quarantine_lists_what_could_not_be_read(folder: Path) -> None:
    assert answer("quarantine") == {"documents": []}
    assert run("quarantine").stdout == "no document is quarantined\n"
    (folder / "docs" / "locked.md").write_bytes(b"\x00\x01\x02" * 100)
    refreshed()
    (document,) = answer("quarantine")["documents"]
    assert document.keys() >= {"source", "uri", "reason", "first_seen", "attempts"}
    assert (document["source"], document["uri"]) == ("docs", (folder / "docs" / "locked.md").as_uri())
    assert document["reason"]
    assert datetime.fromisoformat(document["first_seen"]).tzinfo is not None
    assert answer("quarantine --source notes") == {"documents": []}
    assert "locked.md" in run("quarantine --source docs").stdout


def test_verify_finds_and_repairs_what_differs(folder: Path, settings: Settings) -> None:
    refreshed()
    found = answer("verify")
    assert [found[kind] for kind in ("ghosts", "missing", "different", "repaired")] == [0, 0, 0, 0]
    assert [row["source"] for row in found["sources"]] == ["docs", "notes"]
    with connect(settings) as connection:
        connection.execute("update rag_g1.chunks set text = 'damaged' where text like '%topic3 %'")
    found = answer("verify --source docs", code=1)
    assert (found["different"] > 0, found["repaired"]) == (True, 0)
    shown = run("verify")
    assert shown.exit_code == 1
    assert "docs: differs; make it equal: rag-pipeline verify --source docs --repair" in shown.stderr
    found = answer("verify --repair")
    assert (found["different"], found["repaired"] > 0) == (0, True)
    assert run("verify").exit_code == 0


def test_verify_says_which_source_it_could_not_verify(folder: Path) -> None:
    refreshed()
    (folder / "notes").rename(folder / "elsewhere")
    found = answer("verify", code=1)
    assert [row.get("different") for row in found["sources"]] == [0, None]
    assert "sources[notes].path" in found["sources"][1]["error"]
    assert "notes: failed: " in run("verify").stderr


def test_rollback_lists_the_snapshots_to_go_back_to(folder: Path) -> None:
    assert answer("rollback --source docs") == {"source": "docs", "snapshots": []}
    assert "rag-pipeline refresh --source docs" in run("rollback --source docs").stdout
    refreshed()
    (folder / "docs" / "new.md").write_text("# New\n\nText.\n")
    refreshed()
    snapshots = answer("rollback --source docs")["snapshots"]
    assert len(snapshots) == 2
    assert snapshots[0]["snapshot_id"] > snapshots[1]["snapshot_id"]
    assert datetime.fromisoformat(snapshots[0]["taken_at"]).tzinfo is not None
    assert "go back with: rag-pipeline rollback --source docs --to SNAPSHOT" in run("rollback --source docs").stdout
    result = run("rollback --source docs --to 99999999999999999999")
    assert result.exit_code == 2
    assert f"kept: {snapshots[0]['snapshot_id']}, {snapshots[1]['snapshot_id']}" in result.stderr


def test_housekeeping_tells_what_it_removed(folder: Path) -> None:
    refreshed()
    assert answer("housekeeping") == {"tombstones": 0, "folders": 0, "blobs": 0, "vectors": 0, "questions": 0}
    assert run("housekeeping").stdout.startswith("removed 0 ")


def test_search_shows_only_what_the_caller_may_read(folder: Path) -> None:
    refreshed()
    found = answer("search 'topic1 of notes' --as public -k 100")
    assert found.keys() == {"as_of", "hits", "windows", "notes", "reranked"}
    assert list(found["hits"][0]) == HIT_KEYS
    assert {hit["source"] for hit in found["hits"]} == {"docs"}
    assert datetime.fromisoformat(found["as_of"]).tzinfo is not None
    found = answer("search 'This is the topic1 of notes' --as user:ana --as group:eng -k 1")
    (hit,) = found["hits"]
    assert (hit["source"], hit["document_id"], hit["heading_path"]) == ("notes", "page-1.md", ["Page 1"])
    assert "topic1 of notes" in hit["text"]
    assert answer("search topic1 --as public --source notes")["hits"] == []
    shown = run("search 'This is the topic1 of notes' --as group:eng -k 1")
    assert shown.stdout.splitlines()[0] == "1. Page 1"
    assert (folder / "notes" / "page-1.md").as_uri() in shown.stdout
    assert "index as of 20" in shown.stdout
    nothing = run("search topic1 --as public --source notes").stdout
    assert "no hit among what this caller may read" in nothing
    assert "nothing searched is for this caller" in nothing
    assert "index as of" not in nothing


def test_search_filters_by_source_age_and_metadata(folder: Path) -> None:
    refreshed()

    def documents(options: str) -> set[str]:
        hits = answer(f"search topic --as group:eng -k 100 {options}")["hits"]
        return {f"{hit['source']}/{hit['document_id']}" for hit in hits}

    assert len(documents("")) == 20
    assert documents("--source notes") == {"notes/page-0.md", "notes/page-1.md"}
    assert documents("""--where '{"number": 1}'""") == {"docs/page-1.md", "notes/page-1.md"}
    assert len(documents("--since 2020-01-31")) == 20
    assert documents("--since 2999-01-31T00:00:00+02:00") == set()


def test_search_before_the_first_refresh_says_how_to_fill_the_index(folder: Path) -> None:
    result = run("search topic --as public")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "rag-pipeline refresh" in result.stderr


@pytest.mark.parametrize("options", ["-k 0", "-k 101", "--source docs --source nots"])
def test_search_out_of_bounds_is_wrong_use(folder: Path, options: str) -> None:
    assert run(f"search topic --as public {options}").exit_code == 2


def test_db_url_and_start_name_the_index(folder: Path, settings: Settings) -> None:
    assert answer("db url") == {"url": settings.database.url}
    assert run("db start").stdout == f"{settings.database.url}\n"
    assert "/dagster?" in run("db url --dagster").stdout
