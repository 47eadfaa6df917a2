"""Whatever goes wrong at the embedding service, the index becomes what it would have been, and the ledger is right.

The index is compared with one that was built while nothing went wrong, the ledger with what the service charged.
"""

import multiprocessing
import random
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection

from rag_pipeline.database.embedded import EmbeddedServer
from rag_pipeline.defs.build import build
from rag_pipeline.defs.stage import Stages
from rag_pipeline.embeddings.openai.tokens import count_tokens
from rag_pipeline.errors import BudgetExhausted, ConfigurationError, PermanentError, RagError
from rag_pipeline.query import Caller, Index
from rag_pipeline.settings import Settings
from rag_pipeline.stages import Pipeline
from rag_pipeline_tests.comparison import published_rows
from rag_pipeline_tests.databases import copy_database
from rag_pipeline_tests.embedding_faults import MENDED, SPOILT, noting_late, request_seconds
from rag_pipeline_tests.embedding_server import (
    DIMENSIONS,
    EmbeddingServer,
    Fault,
    Reply,
    answer,
    embedding_server,
    encoded,
    error,
)

WORDS = ("anchor", "buoy", "compass", "dock", "eddy", "ferry", "gull", "harbour", "island", "jetty", "keel", "lantern")
DOCUMENTS = 20
BATCH = 7
SPAWN = multiprocessing.get_context("spawn")
Rows = dict[str, list[Any]]


def write_notes(folder: Path) -> None:
    rng = random.Random(5)
    folder.mkdir()
    for number in range(DOCUMENTS):
        parts = "\n\n".join(f"## Part {part}\n\n{' '.join(rng.choices(WORDS, k=30))}." for part in range(3))
        (folder / f"note-{number:02}.md").write_text(f"# Note {number}\n\n{parts}\n")


@dataclass(frozen=True)
class Served:
    """A service, and an index whose texts it embeds."""

    service: EmbeddingServer
    settings: Settings
    notes: Path

    def pipeline(self, run_id: str | None = None, **embedding: Any) -> Pipeline:
        values = self.settings.model_dump() | {"embedding": self.service.settings(**embedding)}
        return Pipeline(Settings.model_validate(values), run_id)

    def rows(self) -> Rows:
        with self.pipeline().connected() as connection:
            return published_rows(connection)

    def one(self, query: str) -> tuple[Any, ...]:
        with self.pipeline().connected() as connection:
            row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return row

    def ledger(self) -> tuple[int, int]:
        """Tokens, and texts that were kept."""
        return self.one("select coalesce(sum(tokens), 0), coalesce(sum(texts), 0) from rag.usage_ledger")


def settings_for(settings: Settings, notes: Path, **more: Any) -> Settings:
    source = {
        "name": "notes",
        "type": "files",
        "path": str(notes),
        "access": ["public"],
        "guards": {"max_deletions": 1},
    }
    return Settings.model_validate(settings.model_dump() | {"folder": settings.folder, "sources": [source]} | more)


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("services") / "notes"
    write_notes(folder)
    return folder


@pytest.fixture(scope="module")
def oracle(
    notes: Path, server: EmbeddedServer, administrator: Connection[Any], template: str, tmp_path_factory: Any
) -> Rows:
    """The rows of an index that was built while nothing went wrong."""
    elsewhere = f"{template}_served"
    copy_database(administrator, template, elsewhere)
    plain = Settings.model_validate(
        {"folder": tmp_path_factory.mktemp("oracle"), "database": {"url": server.url(elsewhere)}}
    )
    with embedding_server() as service:
        served = Served(service, settings_for(plain, notes), notes)
        served.pipeline().refresh("notes")
        return served.rows()


@pytest.fixture
def served(settings: Settings, notes: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with embedding_server() as service:
        yield Served(service, settings_for(settings, notes), notes)


@pytest.fixture
def changing(served: Served) -> Served:
    """The same, with notes of the test's own."""
    own = served.settings.folder / "notes"
    shutil.copytree(served.notes, own)
    return Served(served.service, settings_for(served.settings, own), own)


@pytest.mark.parametrize("name", MENDED)
def test_a_fault_that_passes_leaves_no_trace(served: Served, oracle: Rows, name: str) -> None:
    served.service.fault = MENDED[name]
    with noting_late() as late:
        patient = served.pipeline(request_seconds=request_seconds(name), model="text-embedding-3-small")
        published = patient.refresh("notes")
    assert served.rows() == oracle
    assert published.texts_embedded == len(served.service.sold)
    asked = sum(sum(count_tokens(each.body["input"])) for each in served.service.asked)
    charged = asked if "not charged" in name else served.service.charged
    assert served.ledger() == (charged, len(served.service.sold))
    assert published.tokens == charged
    again = sum(served.service.sold.values()) - len(served.service.sold)
    assert again <= (sum(late) or len(SPOILT) * BATCH)


STOPS: dict[str, tuple[Fault, type[RagError]]] = {
    "F30 much later": (lambda number, asked: error(429, "slow down", retry_after="3601"), RagError),
    "F31 no credit": (lambda number, asked: error(429, "no credit", "insufficient_quota"), PermanentError),
    "F43 key revoked": (lambda number, asked: error(401, "bad key"), ConfigurationError),
    "F44 another name": (lambda number, asked: Reply(answer(asked) | {"model": "other"}), PermanentError),
    "F44 other weights": (lambda number, asked: Reply(answer(asked, weights=1)), PermanentError),
    "away": (lambda number, asked: error(503), RagError),
}


@pytest.mark.parametrize("name", STOPS)
def test_a_fault_that_stays_stops_the_run_and_the_next_goes_on(served: Served, oracle: Rows, name: str) -> None:
    fault, kind = STOPS[name]
    served.service.fault = lambda number, asked: fault(number, asked) if number >= 4 else None
    patience: dict[str, Any] = {"give_up_seconds": 2} if name == "away" else {}
    with pytest.raises(kind):
        served.pipeline(**patience).refresh("notes")
    (kept,) = served.one("select count(*) from rag.embedding_store")
    assert served.one("select count(*) from documents") == (0,)
    assert served.ledger() == (served.service.charged, kept)
    # Before the service is away, a pause of this machine may use the patience up.
    assert kept == (len(served.service.sold) if name == "away" else 4 * BATCH)
    served.service.fault = lambda number, asked: None
    published = served.pipeline().refresh("notes")
    assert served.rows() == oracle
    assert published.texts_embedded == len(served.service.sold) - kept
    spoilt = sum(served.service.sold.values()) - len(served.service.sold)
    assert spoilt <= (4 * BATCH if name.startswith("F44") else 0)
    assert served.ledger() == (served.service.charged, len(served.service.sold))


def test_a_text_that_comes_up_again_while_it_is_bought_is_bought_once(
    changing: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_pipeline.embeddings.store._LOOK_UP", 2)
    changing.service.seconds = 0.05
    for number in range(8):
        shutil.copy(changing.notes / "note-03.md", changing.notes / f"note-{number:02}-again.md")
    published = changing.pipeline().refresh("notes")
    assert published.added == DOCUMENTS + 8
    assert set(changing.service.sold.values()) == {1}
    assert published.texts_embedded == len(changing.service.sold)
    assert changing.pipeline().verify("notes").equal


def test_a_changed_model_is_noticed_by_the_next_run(changing: Served) -> None:
    changing.pipeline().refresh("notes")
    before, bought = changing.rows(), changing.one("select count(*) from rag.embedding_store")
    (changing.notes / "note-00.md").write_text("# Other\n\nQuite another text.\n")
    for changed in (
        lambda number, asked: Reply(answer(asked, weights=1)),
        lambda number, asked: Reply(answer(asked) | {"model": "renamed"}),
    ):
        changing.service.fault = changed
        with pytest.raises(PermanentError, match=r"another model now.*\[embedding\] revision"):
            changing.pipeline().refresh("notes")
        assert changing.rows() == before
        assert changing.one("select count(*) from rag.embedding_store") == bought
        assert changing.ledger()[0] == changing.service.charged
    changing.service.fault = lambda number, asked: None
    assert changing.pipeline().refresh("notes").texts_embedded == 1


def test_what_the_sample_cost_is_booked_when_it_came_to_nothing_too(served: Served) -> None:
    served.service.fault = lambda number, asked: Reply([]) if number < 0 else None
    with pytest.raises(PermanentError, match="does not answer properly"):
        served.pipeline(model="text-embedding-3-small").refresh("notes")
    assert served.ledger() == (served.service.charged, 0)
    assert served.service.charged > 0
    assert served.one("select string_agg(distinct purpose, ' ') from rag.usage_ledger") == ("sample",)


def test_a_search_by_a_changed_model_is_refused(served: Served) -> None:
    served.pipeline().refresh("notes")
    caller = Caller("user:ana")
    with Index.connect(served.pipeline().settings) as index:
        assert index.search("anchor and buoy", caller=caller)
        served.service.fault = lambda number, asked: Reply(answer(asked, weights=1))
        with pytest.raises(PermanentError, match="another model now"):
            index.search("anchor and buoy", caller=caller)
    with Index.connect(served.pipeline().settings) as index:
        with pytest.raises(PermanentError, match="another model now"):
            index.search("anchor and buoy", caller=caller)
        served.service.fault = lambda number, asked: None
        assert index.search("anchor and buoy", caller=caller)


def poisoned(number: int, asked: Any) -> Reply | None:
    return error(400, "the input is too long") if any("poison" in text for text in asked.texts) else None


def test_a_refused_text_quarantines_its_document_alone(changing: Served) -> None:
    changing.service.fault = poisoned
    first, second = changing.notes / "note-00.md", changing.notes / "note-01.md"
    new = changing.notes / "new.md"
    changing.pipeline().refresh("notes")
    before = changing.rows()
    first.write_text("# Note 0\n\n## Good\n\nA fine new part.\n\n## Bad\n\nSome poison in it.\n")
    new.write_text("# New\n\nMore poison here.\n")
    second.write_text("# Note 1\n\nEdited well.\n")
    published = changing.pipeline().refresh("notes")
    assert (published.quarantined, published.changed, published.added) == (2, 1, 0)
    rows = changing.rows()
    assert [(row[1], "too long" in row[2]) for row in rows["quarantine"]] == [("new.md", True), ("note-00.md", True)]
    # of a quarantined document the last good version is there
    with changing.pipeline().connected() as connection:
        found = connection.execute(
            "select chunks.text from chunks join documents using (doc_key) where document_id = 'note-00.md'"
        ).fetchall()
    assert len(found) == 3
    assert len(before["documents"]) == DOCUMENTS
    assert changing.ledger()[0] == changing.service.charged
    assert changing.one("select distinct refused_by from rag.quarantine") == ("tests-embedding/16",)
    found = changing.pipeline().verify("notes")
    assert (found.equal, found.quarantined) == (True, 2), found.examples

    asked = len(changing.service.asked)
    again = changing.pipeline().refresh("notes")
    assert (again.quarantined, again.changed, again.added, again.chunks_written) == (2, 0, 0, 0)
    assert len(changing.service.asked) == asked

    first.write_text("# Note 0\n\n## Good\n\nA fine new part.\n\n## Bad\n\nNothing in it.\n")
    new.unlink()
    healed = changing.pipeline().refresh("notes")
    assert (healed.quarantined, healed.changed, healed.texts_embedded) == (0, 1, 1)
    assert changing.rows()["quarantine"] == []
    assert changing.pipeline().verify("notes").equal


def test_many_refused_texts_in_a_small_change_of_an_index_are_quarantined_as_few_are(changing: Served) -> None:
    changing.pipeline().refresh("notes")
    changing.service.fault = poisoned
    for number in range(12):
        (changing.notes / f"bad-{number}.md").write_text(f"# Bad {number}\n\nThe poison of {number}.\n")
    (changing.notes / "good.md").write_text("# Good\n\nNothing in it.\n")
    published = changing.pipeline().refresh("notes")
    assert (published.quarantined, published.added) == (12, 1)
    assert changing.ledger()[0] == changing.service.charged


def test_a_refused_text_is_told_by_dagster_and_fails_no_check(changing: Served) -> None:
    changing.service.fault = poisoned
    (changing.notes / "new.md").write_text("# New\n\n## Good\n\nGood text.\n\n## Bad\n\nMore poison here.\n")
    pipeline = changing.pipeline()
    job = build(pipeline.settings, Stages(pipeline)).resolve_job_def("refresh")
    result = job.execute_in_process(partition_key="notes", raise_on_error=False)
    assert result.success
    assert all(check.passed for check in result.get_asset_check_evaluations())
    told = result.asset_materializations_for_node("embeddings")[0].metadata
    assert (told["quarantined"].value, told["embedded"].value) == (1, len(changing.service.sold))
    told = result.asset_materializations_for_node("publish")[0].metadata
    assert (told["quarantined"].value, told["added"].value) == (1, DOCUMENTS)


def test_a_text_without_a_vector_is_tried_at_each_refresh(changing: Served) -> None:
    def none(number: int, asked: Any) -> Reply:
        body = answer(asked)
        for item, text in zip(body["data"], asked.body["input"], strict=True):
            if "riddle" in text:
                item["embedding"] = encoded([0.0] * DIMENSIONS)
        return Reply(body)

    changing.service.fault = none
    (changing.notes / "riddle.md").write_text("# Riddle\n\nA riddle for the service.\n")
    assert changing.pipeline().refresh("notes").quarantined == 1
    assert changing.one("select reason, content_hash from rag.quarantine") == ("its vector is zero", None)
    assert changing.pipeline().verify("notes").equal
    assert changing.pipeline().refresh("notes").quarantined == 1
    changing.service.fault = lambda number, asked: None
    assert changing.pipeline().refresh("notes").quarantined == 0
    assert changing.rows()["quarantine"] == []
    assert changing.ledger()[0] == changing.service.charged


def test_a_budget_bounds_what_is_bought_and_the_next_run_goes_on(served: Served, oracle: Rows) -> None:
    values = served.settings.model_dump() | {"budget": {"per_run_usd": "0.002", "prices": {"tests-embedding": "1"}}}
    bounded = Served(served.service, Settings.model_validate(values), served.notes)
    runs = 0
    for number in range(12):
        before = bounded.service.charged
        runs += 1
        try:
            bounded.pipeline(f"run-{number}").refresh("notes")
            break
        except BudgetExhausted:
            assert 0 < bounded.service.charged - before <= 2_000
    assert 1 < runs < 12
    assert bounded.rows() == oracle
    assert set(bounded.service.sold.values()) == {1}
    assert bounded.ledger() == (bounded.service.charged, len(bounded.service.sold))


def refresh(settings: Settings) -> None:
    """What a child process does."""
    Pipeline(settings).refresh("notes")


def test_killed_while_it_buys(served: Served, oracle: Rows) -> None:
    served.service.seconds = 0.3
    at_once = 3
    pipeline = served.pipeline(requests_at_once=at_once)
    _ = pipeline.generation
    kills = 3
    for number in range(kills):
        start = len(served.service.charges)
        process = SPAWN.Process(target=refresh, args=(pipeline.settings,), daemon=True)
        process.start()
        deadline = time.monotonic() + 120
        # one answer has been kept, another may be about to be, and others are on their way
        while len(served.service.charges) < start + 1 + at_once + 2 and time.monotonic() < deadline:
            time.sleep(0.005)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        kept = served.one("select count(*) from rag.embedding_store")[0]
        assert kept >= number * BATCH
    served.service.seconds = 0.0
    pipeline = served.pipeline(requests_at_once=at_once)
    pipeline.refresh("notes")
    assert served.rows() == oracle
    twice = sum(served.service.sold.values()) - len(served.service.sold)
    # of each kill: what was under way, and the one that was being kept
    assert 0 < twice <= kills * (at_once + 1) * BATCH
    tokens, texts = served.ledger()
    assert texts == len(served.service.sold)
    longest = max(served.service.charges)
    assert served.service.charged - kills * (at_once + 1) * longest <= tokens <= served.service.charged
    pipeline.refresh("notes")
    assert sum(served.service.sold.values()) - len(served.service.sold) == twice
