"""Answers while the world moves: permissions, groups and generations change, models cost, many ask at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest

from rag_pipeline.database.connection import connect
from rag_pipeline.model import Access
from rag_pipeline.query import Caller, Index
from rag_pipeline.settings import Answers, Budget, Embedding, Settings
from rag_pipeline_tests.chat_server import Asked, ChatServer, Reply, chat_server
from rag_pipeline_tests.redis_server import needs_redis, redis_server
from rag_pipeline_tests.scripted import Entry, ScriptedPipeline, World, scripted

QUESTION = "Where is the zeppelin moored?"
ANA = Caller("user:ana")


@pytest.fixture
def writer() -> Iterator[ChatServer]:
    """A model that repeats whatever it is shown, and cites all of it."""

    def answer(asked: Asked) -> str:
        return "\n".join(f"{text} [{asked.tag}-{number}]" for number, text in asked.documents.items())

    with chat_server(answer) as service:
        yield service


@pytest.fixture
def wiki(settings: Settings, writer: ChatServer) -> tuple[ScriptedPipeline, World]:
    answers = Answers.model_validate(writer.settings())
    pipeline, world = scripted(settings.model_copy(update={"answers": answers}), "wiki")
    world.documents["open.md"] = Entry("# Masts\n\nThe zeppelin is moored at a mast.\n", Access.of(["public"]))
    world.documents["crew.md"] = Entry("# Crew\n\nThe zeppelin is moored in hangar nine.\n", Access.of(["group:crew"]))
    pipeline.refresh("wiki")
    return pipeline, world


def members(settings: Settings, statement: str) -> None:
    with connect(settings) as connection:
        connection.execute(statement.encode())


@needs_redis
def test_who_leaves_a_group_of_a_group_gets_nothing_that_was_written_for_it(
    wiki: tuple[ScriptedPipeline, World], writer: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = wiki[0].settings
    members(settings, "insert into rag.principal_members values ('user:ana', 'group:pilots')")
    members(settings, "insert into rag.principal_members values ('group:pilots', 'group:crew')")
    with redis_server(tmp_path) as redis:
        monkeypatch.setenv("RAG_REDIS_URL", redis.url)
        with Index.connect(settings) as index:
            for cached in (False, True):
                inside = index.answer(QUESTION, caller=ANA)
                assert (inside.cached, "hangar nine" in (inside.answer or "")) == (cached, True)
            members(settings, "delete from rag.principal_members where member = 'group:pilots'")
            for cached in (False, True):
                outside = index.answer(QUESTION, caller=ANA)
                assert outside.cached == cached
                assert "hangar" not in repr(outside)
            members(settings, "insert into rag.principal_members values ('group:pilots', 'group:crew')")
            assert index.answer(QUESTION, caller=ANA).answer == inside.answer
    assert len(writer.asked) == 2


@needs_redis
def test_what_was_moved_deleted_and_restored_is_cited_as_it_is_now(
    wiki: tuple[ScriptedPipeline, World], writer: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, world = wiki
    with redis_server(tmp_path) as redis, Index.connect(pipeline.settings) as index:
        monkeypatch.setenv("RAG_REDIS_URL", redis.url)

        def uris() -> list[str]:
            return [citation.uri for citation in index.answer(QUESTION, caller=ANA).citations]

        first = index.answer(QUESTION, caller=ANA)
        world.documents["moved.md"] = world.documents.pop("open.md")
        pipeline.refresh("wiki")
        assert uris() == uris() == ["test://moved.md"]
        assert len(writer.asked) == 2
        entry = world.documents.pop("moved.md")
        pipeline.refresh("wiki")
        gone = index.answer(QUESTION, caller=ANA)
        assert (gone.abstained, gone.citations, gone.cached) == (True, (), False)
        world.documents["open.md"] = entry
        pipeline.refresh("wiki")
        again = index.answer(QUESTION, caller=ANA)
        assert (again.answer, [each.uri for each in again.citations]) == (first.answer, ["test://open.md"])
        assert again.as_of is not None
        assert first.as_of is not None
        assert again.as_of > first.as_of


def test_many_at_once_pass_no_budget_together(wiki: tuple[ScriptedPipeline, World], writer: ChatServer) -> None:
    """Each may cost up to a cent and costs half of one, so that of four cents at most eight are had."""
    settings = wiki[0].settings
    settings = settings.model_copy(
        update={
            "answers": Answers.model_validate(writer.settings(answer_tokens=900)),
            "budget": Budget.model_validate({"per_month_usd": 0.04}),
        }
    )
    writer.answers = lambda asked: Reply([f"At a mast [{asked.tag}-1]."], usage=(0, 500), seconds=0.05)
    with Index.connect(settings) as index, ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: index.answer(QUESTION, caller=ANA), range(24)))
    paid = [answer for answer in answers if answer.model is not None]
    assert all(answer.citations for answer in answers)
    assert 3 <= len(paid) <= 8
    with connect(settings) as connection:
        spent = connection.execute(
            "select sum(cost_usd), count(*) from rag.usage_ledger where purpose = 'answer'"
        ).fetchone()
        assert spent == (sum(answer.cost_usd or 0 for answer in paid), len(paid))
        assert sum(answer.cost_usd or 0 for answer in paid) <= Decimal("0.04")
        assert connection.execute("select count(*) from rag.budget_reservations").fetchone() == (0,)


def test_threads_get_each_their_own_answer(wiki: tuple[ScriptedPipeline, World], writer: ChatServer) -> None:
    """Two callers with different rights ask the same at once, all the time; nobody hears the other."""
    crew = Caller("user:bo", "group:crew")
    with Index.connect(wiki[0].settings) as index, ThreadPoolExecutor(8) as threads:
        callers = [ANA, crew] * 12
        answers = threads.map(lambda each: index.answer(QUESTION, caller=each), callers)
        for caller, answer in zip(callers, answers, strict=True):
            assert ("hangar nine" in repr(answer)) == (caller is crew)


def test_who_breaks_off_leaves_nothing_behind(wiki: tuple[ScriptedPipeline, World], writer: ChatServer) -> None:
    """As with ctrl-c, or a terminal that went away: no reservation stays, and what was begun is booked."""

    class GoneAway(BaseException):
        pass

    def leave(_: str) -> None:
        raise GoneAway

    settings = wiki[0].settings.model_copy(update={"budget": Budget.model_validate({"per_month_usd": 50})})
    writer.answers = lambda asked: Reply(["word "] * 200, drip=0.02)
    with Index.connect(settings) as index:
        for _ in range(20):
            with pytest.raises(GoneAway):
                index.answer(QUESTION, caller=ANA, on_text=leave)
        writer.answers = lambda asked: f"At a mast [{asked.tag}-1]."
        assert index.answer(QUESTION, caller=ANA).citations
    with connect(settings) as connection:
        assert connection.execute("select count(*) from rag.budget_reservations").fetchone() == (0,)
        lost = connection.execute(
            "select count(*), count(cost_usd) from rag.usage_ledger where purpose = 'lost'"
        ).fetchone()
        assert lost == (20, 20)
        busy = connection.execute(
            "select count(*) from pg_stat_activity where datname = current_database() "
            "and pid <> pg_backend_pid() and state <> 'idle'"
        ).fetchone()
        assert busy == (0,)


def test_while_the_live_model_is_another_than_the_settings_say_nothing_is_too_weak_by_its_measure(
    wiki: tuple[ScriptedPipeline, World],
) -> None:
    """As during a migration to the default model: its cosines say nothing of those that the live one has."""
    settings = wiki[0].settings.model_copy(update={"embedding": Embedding(), "answers": Answers()})
    question = "are zeppelin pilots paid by the hour or by the mile"
    with Index.connect(settings) as index:
        answer = index.answer(question, caller=ANA)
    assert 0 < answer.hits.evidence.score < settings.answers.min_evidence
    assert not answer.abstained
    told = settings.model_copy(update={"answers": Answers(min_evidence=0.75)})
    with Index.connect(told) as index:
        assert index.answer(question, caller=ANA).abstained
