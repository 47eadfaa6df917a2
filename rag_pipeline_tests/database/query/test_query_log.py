"""The log of questions: only where it is wanted, nothing in it that is not needed, and never in the way of a search."""

import logging
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from rag_pipeline.database.connection import connect
from rag_pipeline.model import Access
from rag_pipeline.query import Caller, Filters, Index, query_log
from rag_pipeline.query.query_log import Asked, QueryLog
from rag_pipeline.settings import Answers, Queries, Settings
from rag_pipeline_tests.chat_server import chat_server, error
from rag_pipeline_tests.scripted import Entry, ScriptedPipeline, scripted

ANA, BO = Caller("user:ana", "group:eng"), Caller("user:bo", "group:eng")
LOGGED = Queries(log=True)
SECRET_WORDS = "quetzalcoatl"


@pytest.fixture
def pipeline(settings: Settings) -> ScriptedPipeline:
    """Twelve public pages and one for engineers, all about engines."""
    pipeline, world = scripted(settings, "wiki")
    for number in range(12):
        world.documents[f"page-{number}.md"] = Entry(f"# Page {number}\n\nEngine {number}.\n", Access.of(["public"]))
    world.documents["plans.md"] = Entry(f"# Plans\n\nThe engine is {SECRET_WORDS}.\n", Access.of(["group:eng"]))
    pipeline.refresh("wiki")
    pipeline.settings = pipeline.settings.model_copy(update={"queries": LOGGED})
    return pipeline


def rows(settings: Settings) -> list[dict[str, Any]]:
    with connect(settings) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("select * from rag.query_log order by query_id").fetchall()


def test_nothing_is_kept_unless_the_settings_say_so(pipeline: ScriptedPipeline) -> None:
    silent = pipeline.settings.model_copy(update={"queries": Queries()})
    with Index.connect(silent) as index:
        index.search("engine", caller=ANA)
    with Index.connect(pipeline.settings, log=False) as index:
        index.answer("engine", caller=ANA)
    assert rows(pipeline.settings) == []


def test_a_question_is_kept_with_what_came_of_it(pipeline: ScriptedPipeline) -> None:
    with Index.connect(pipeline.settings) as index:
        hits = index.search("which engine", caller=ANA, k=100, filters=Filters(sources=["wiki"]))
        answer = index.answer("which engine", caller=Caller("public"), k=5)
        index.window(hits[0].chunk_id, caller=ANA)
    search, asked = rows(pipeline.settings)
    assert (search["purpose"], search["question"], search["hits"]) == ("search", "which engine", 13)
    assert search["found"] == [hit.chunk_id for hit in hits[:10]]
    assert search["evidence"] == pytest.approx(hits.evidence.score, rel=1e-5)
    assert (search["filtered"], search["abstained"], search["cited"]) == (True, None, [])
    assert (asked["purpose"], asked["filtered"], asked["abstained"]) == ("answer", False, answer.abstained)
    assert asked["found"] == [hit.chunk_id for hit in answer.hits]
    assert asked["cited"] == [citation.chunk_id for citation in answer.citations]


def test_where_the_model_failed_nobody_answered_and_nobody_declined(pipeline: ScriptedPipeline) -> None:
    with chat_server(lambda asked: error(400)) as service:
        answers = Answers.model_validate(service.settings())
        with Index.connect(pipeline.settings.model_copy(update={"answers": answers})) as index:
            assert index.answer("which engine", caller=ANA).answer is None
    [asked] = rows(pipeline.settings)
    assert (asked["purpose"], asked["abstained"], asked["hits"]) == ("answer", None, 10)


def test_no_text_and_no_name_is_kept(pipeline: ScriptedPipeline) -> None:
    with Index.connect(pipeline.settings) as index:
        assert SECRET_WORDS in "".join(hit.text for hit in index.search("engine", caller=ANA, k=100))
    with connect(pipeline.settings) as connection:
        [kept] = connection.execute("select query_log::text from rag.query_log").fetchall()
    for told in (SECRET_WORDS, "plans.md", "Plans", "ana", "group:eng", "wiki", "Engine"):
        assert told not in kept[0]


def test_one_who_asks_is_known_again_and_not_by_name(pipeline: ScriptedPipeline) -> None:
    callers = [
        ANA,
        Caller("user:ana"),
        Caller("user:ana", "group:hr", "group:eng"),
        BO,
        Caller("group:eng"),
        Caller("public"),
        ANA,
    ]
    with Index.connect(pipeline.settings) as index:
        for caller in callers:
            index.search("engine", caller=caller)
    first, alone, more, bo, group, public, again = (row["asker"] for row in rows(pipeline.settings))
    assert first == alone == more == again
    assert len({first, bo, group}) == 3
    assert public is None
    with connect(pipeline.settings, role=None) as owner:
        (key,) = owner.execute("select key from rag.query_log_key").fetchone() or (b"",)
        assert len(key) == 32
        owner.execute("update rag.query_log_key set key = sha256(key)")
    with Index.connect(pipeline.settings) as index:
        index.search("engine", caller=ANA)
    assert rows(pipeline.settings)[-1]["asker"] not in (first, None), "without the key a name has no pseudonym"


def test_who_asks_reads_nothing_of_it_and_the_pipeline_no_key(pipeline: ScriptedPipeline) -> None:
    key = "select key from rag.query_log_key"
    statements = [
        "select count(*) from rag.query_log",
        "delete from rag.query_log",
        "insert into rag.query_log (purpose, question, filtered, hits, found, cited) "
        "values ('search', 'x', false, 0, '{}', '{}')",
        "select rag.pseudonym(array['user:ana'])",
        key,
    ]
    for role in ("rag_reader", "rag_analyst"):
        with connect(pipeline.settings, role=role) as session:
            for statement in statements:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    session.execute(statement.encode())
    with connect(pipeline.settings) as writer:
        assert writer.execute("select count(*) from rag.query_log").fetchone() == (0,)
        # Who reads the log must not write a name into it, or he would see which pseudonym it has.
        naming = "select rag.log_query('q', array['user:ana'], 'search', 0, '{}', '{}', null, null, false)"
        for statement in (statements[-2], key, naming):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                writer.execute(statement.encode())


def test_an_application_can_write_nothing_in_the_place_of_an_id(pipeline: ScriptedPipeline) -> None:
    good = f"{'a' * 32}-{'b' * 32}"
    with connect(pipeline.settings, role="rag_reader") as session:
        session.execute(
            "select rag.log_query('q', array['public'], 'search', 3, %s, %s, null, null, false)",
            [["the text of a document", good, good.upper(), None], [good] * 30],
        )
    [row] = rows(pipeline.settings)
    assert row["found"] == [good]
    assert row["cited"] == [good] * 10


def test_a_search_that_cannot_be_logged_is_a_search(
    pipeline: ScriptedPipeline, caplog: pytest.LogCaptureFixture
) -> None:
    with connect(pipeline.settings, role=None) as owner:
        owner.execute("alter table rag.query_log rename to lost")
    with Index.connect(pipeline.settings) as index, caplog.at_level(logging.WARNING, "rag_pipeline"):
        assert len(index.search("engine of nobody", caller=ANA)) == 10
        assert len(index.search("engine of nobody", caller=ANA)) == 10
    [warning] = [record.getMessage() for record in caplog.records if "could not be logged" in record.getMessage()]
    assert "nobody" not in warning
    assert "ana" not in warning


def test_without_its_server_the_log_gives_up_quietly(caplog: pytest.LogCaptureFixture) -> None:
    nowhere = Settings.model_validate({"database": {"url": "postgresql://nobody@127.0.0.1:9/rag"}})
    log = QueryLog(nowhere)
    with caplog.at_level(logging.WARNING, "rag_pipeline"):
        for number in range(5):
            log.add(Asked("search", f"question {number}", ("public",), False, (), 0.0))
        log.close()
    assert len(caplog.records) == 1


def test_who_asks_does_not_wait_for_the_log(pipeline: ScriptedPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be written before all have asked."""
    monkeypatch.setitem(query_log._SESSION, "statement_timeout", "1h")
    record = Asked("search", "engine", ("public",), False, (), 0.5)
    log = QueryLog(pipeline.settings)
    with connect(pipeline.settings, role=None) as owner, owner.transaction():
        owner.execute("lock table rag.query_log in access exclusive mode")
        for _ in range(3_000):
            log.add(record)
    log.close()
    assert 0 < len(rows(pipeline.settings)) < 3_000, "what did not fit into the queue is dropped"


def test_questions_are_forgotten_in_time_also_when_the_log_is_off(pipeline: ScriptedPipeline) -> None:
    with Index.connect(pipeline.settings) as index:
        for question in ("old", "new"):
            index.search(question, caller=ANA)
    with connect(pipeline.settings, role=None) as owner:
        owner.execute("update rag.query_log set asked_at = now() - interval '8 days' where question = 'old'")
    pipeline.settings = pipeline.settings.model_copy(update={"queries": Queries(keep_days=7)})
    assert pipeline.housekeeping().questions == 1
    assert [row["question"] for row in rows(pipeline.settings)] == ["new"]
    assert pipeline.housekeeping().questions == 0
