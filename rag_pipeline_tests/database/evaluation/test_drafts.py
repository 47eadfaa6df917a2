"""Drafts and gaps of a real log over a real index: only what the caller may read, and only what many asked."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rag_pipeline.cli import main
from rag_pipeline.database.connection import connect
from rag_pipeline.evaluation import read_golden_set
from rag_pipeline.evaluation.query_log import Logged, read_log
from rag_pipeline.query import NOT_KNOWN, Caller, Filters, Index
from rag_pipeline.settings import Settings
from rag_pipeline.stages import Pipeline
from rag_pipeline_tests.chat_server import ChatServer, chat_server

ANA, BO, EVERYONE = Caller("user:ana", "group:eng"), Caller("user:bo", "group:eng"), Caller("public")
ENOUGH = 0.3
"""The hashed model knows no meaning: a chunk with the words of a question is above it, one without is below."""


@pytest.fixture
def folder(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index of four public pages and one for engineers, each with a section long enough to ask for."""
    folder = settings.folder
    (folder / "rag.toml").write_text(
        f'[database]\nurl = "{settings.database.url}"\n[embedding]\nprovider = "hashed"\n'
        f"[queries]\nlog = true\n[answers]\nmin_evidence = {ENOUGH}\n"
        '[[sources]]\nname = "docs"\ntype = "files"\npath = "docs"\naccess = ["public"]\n'
    )
    (folder / "docs").mkdir()
    for name in ("boiler", "pump", "valve", "gauge"):
        page(folder, name, "")
    page(folder, "turbine", "---\naccess: [group:eng]\n---\n")
    monkeypatch.chdir(folder)
    Pipeline(Settings.load()).refresh("docs")
    return folder


def page(folder: Path, name: str, access: str) -> None:
    body = f"The {name} is looked after by whoever heard the {name} last. " * 5
    (folder / "docs" / f"{name}.md").write_text(f"{access}# The {name}\n\n## Care\n\n{body}\n")


def ask(*questions: tuple[Caller, str], filters: Filters | None = None) -> None:
    with Index.connect(Settings.load()) as index:
        for caller, question in questions:
            index.search(question, caller=caller, filters=filters or Filters())


def run(command: str) -> Result:
    result = CliRunner().invoke(main, shlex.split(command), prog_name="rag-pipeline")
    assert result.exit_code == 0, result.output
    return result


def drafts(options: str) -> list[dict[str, Any]]:
    return json.loads(run(f"eval draft --json {options}").stdout)["drafts"]


def documents(found: list[dict[str, Any]]) -> set[str]:
    return {place["document"] for draft in found for place in draft["line"]["expected"]}


def answered_by(service: ChatServer, folder: Path) -> None:
    """Let a service write answers and questions; to it nothing that is found is too weak."""
    section = "\n".join(f"{name} = {json.dumps(value)}" for name, value in service.settings().items())
    file = folder / "rag.toml"
    file.write_text(file.read_text().replace(f"[answers]\nmin_evidence = {ENOUGH}\n", f"[answers]\n{section}\n"))


def log() -> dict[str, Logged]:
    with connect(Settings.load()) as connection:
        return {each.question: each for each in read_log(connection, 30, ENOUGH)}


def test_the_log_is_counted_by_question_and_by_person(folder: Path) -> None:
    ask((ANA, "boiler"), (ANA, "Boiler? "), (BO, "boiler"), (EVERYONE, "boiler"), (EVERYONE, " BOILER"))
    ask((ANA, "zeppelin"), (ANA, "zeppelin"))
    ask((BO, "zeppelin"), filters=Filters(sources=["docs"]))
    found = log()
    assert list(found) == ["boiler", "zeppelin"]
    boiler, zeppelin = found.values()
    assert (boiler.asked, boiler.askers, boiler.in_vain) == (5, 2 + 2, 0)
    assert (zeppelin.asked, zeppelin.askers, zeppelin.in_vain) == (3, 2, 2)
    with Index.connect(Settings.load(), log=False) as index:
        assert boiler.found[0] == index.search("boiler", caller=ANA)[0].chunk_id


def test_a_draft_proposes_what_its_caller_may_read_whoever_asked(folder: Path) -> None:
    ask((ANA, "turbine"), (BO, "turbine"), (ANA, "boiler"), (BO, "boiler"), (ANA, "secret of ana"))
    [boiler] = drafts("--from log --as public")
    assert (boiler["origin"], boiler["asked"], boiler["askers"]) == ("log", 2, 2)
    assert boiler["line"] == {
        "id": "asked-boiler",
        "question": "boiler",
        "caller": ["public"],
        "expected": [{"source": "docs", "document": "boiler.md", "section": ["The boiler", "Care"]}],
        "draft": True,
    }
    for_engineers = drafts("--from log --as user:eve --as group:eng")
    assert documents(for_engineers) == {"boiler.md", "turbine.md"}
    assert documents(drafts("--from log --askers 1 --as public")) == {"boiler.md"}, "what one found is not shown to all"


def test_sections_that_no_question_asks_for(folder: Path) -> None:
    everything = {"boiler.md", "pump.md", "valve.md", "gauge.md"}
    assert documents(drafts("--from sections --as public")) == everything
    assert documents(drafts("--from sections --as group:eng")) == everything | {"turbine.md"}
    known = {"id": "k", "question": "who?", "caller": ["public"]}
    places = [
        {"source": "docs", "document": "pump.md"},
        {"source": "docs", "document": "gauge.md", "section": ["The gauge"]},
    ]
    (folder / "golden.jsonl").write_text(json.dumps(known | {"expected": places}))
    left = drafts("--from sections --as public --set golden.jsonl")
    assert documents(left) == {"boiler.md", "valve.md"}
    assert {draft["line"]["question"] for draft in left} == {
        "What does “The boiler” say about “Care”?",
        "What does “The valve” say about “Care”?",
    }
    assert len(drafts("--from sections --as public --limit 3")) == 3


def test_drafts_become_a_golden_set_and_are_proposed_once(folder: Path) -> None:
    ask((ANA, "boiler"), (BO, "boiler"))
    shown = run("eval draft --as public --to drafts.jsonl")
    assert "boiler" in shown.stdout
    assert '4 drafts are in drafts.jsonl: correct each line, remove "draft"' in shown.stderr
    lines = [json.loads(line) for line in Path("drafts.jsonl").read_text().splitlines()]
    assert [line["id"].partition("-")[0] for line in lines] == ["asked", "section", "section", "section"]
    assert documents([{"line": line} for line in lines]) == {"boiler.md", "pump.md", "valve.md", "gauge.md"}
    assert drafts("--as public --to drafts.jsonl") == []
    # Editors need not leave a line end behind.
    Path("edited.jsonl").write_text(json.dumps(lines[0]))
    assert len(drafts("--as public --to edited.jsonl")) == 3
    assert len(read_golden_set(Path("edited.jsonl"), drafts=True)) == 4
    Path("golden.jsonl").write_text("".join(json.dumps({**line, "draft": False}) + "\n" for line in lines))
    assert len(read_golden_set(Path("golden.jsonl"))) == 4
    figures = json.loads(run("eval --set golden.jsonl --json --no-answers").stdout)
    assert figures["questions"] == 4
    assert set(log()) == {"boiler"}, "measuring leaves nothing in the log"


def test_gaps_are_what_was_asked_in_vain_and_is_still_not_answered(folder: Path) -> None:
    ask((ANA, "zeppelin"), (EVERYONE, "zeppelin"), (ANA, "boiler"), (BO, "boiler"), (ANA, "airship"))
    ask((EVERYONE, "turbine"), (EVERYONE, "turbine"))
    found = json.loads(run("eval gaps --as public --json").stdout)["gaps"]
    assert {gap["question"]: (gap["askers"], gap["in_vain"]) for gap in found} == {
        "zeppelin": (2, 2),
        "turbine": (2, 2),
    }
    shown = run("eval gaps --as group:eng --askers 1")
    assert "turbine" not in shown.stdout, "engineers find it, so that nothing need be written for them"
    assert "airship" in shown.stdout
    page(folder, "zeppelin", "")
    Pipeline(Settings.load()).refresh("docs")
    assert "zeppelin" not in run("eval gaps --as public").stdout
    assert "1 questions were asked by fewer than 2" in run("eval gaps --as public").stderr


def test_a_model_writes_questions_for_what_the_caller_may_read(folder: Path) -> None:
    with chat_server(lambda asked: f"Who cares for number {asked.question.count('heard')}?") as service:
        answered_by(service, folder)
        found = drafts("--from sections --as public")
        sent = "\n".join(asked.text for asked in service.asked)
    assert {draft["line"]["question"] for draft in found} == {"Who cares for number 5?"}
    assert len({draft["line"]["id"] for draft in found}) == 4
    assert "turbine" not in sent
    with connect(Settings.load()) as connection:
        [row] = connection.execute(
            "select purpose, count(*), sum(tokens) from rag.usage_ledger where purpose <> 'index' group by purpose"
        ).fetchall()
    assert row == ("draft", 4, 4 * 120)


def test_what_a_model_could_not_answer_is_a_gap(folder: Path) -> None:
    with chat_server(lambda asked: NOT_KNOWN) as service:
        answered_by(service, folder)
        with Index.connect(Settings.load()) as index:
            for caller in (ANA, BO):
                assert index.answer("who built the boiler", caller=caller).abstained
    [gap] = json.loads(run("eval gaps --as public --json").stdout)["gaps"]
    assert (gap["question"], gap["in_vain"], gap["hits"]) == ("who built the boiler", 2, 4)
    assert drafts("--from log --as public") == []


def test_nothing_is_proposed_on_behalf_of_nobody(folder: Path) -> None:
    for verb in ("draft", "gaps"):
        result = CliRunner().invoke(main, ["eval", verb])
        assert result.exit_code == 2
        assert "say on whose behalf" in result.stderr
        assert CliRunner().invoke(main, ["eval", verb, "--as", "nonsense"]).exit_code == 2
