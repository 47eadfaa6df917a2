"""An answer that was paid for once: who gets it again, who does not, and that a cache in trouble changes none."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from threading import Event, Semaphore
from typing import Any

import psycopg
import pytest

from rag_pipeline.database.connection import connect
from rag_pipeline.errors import ConfigurationError, TransientError
from rag_pipeline.migration import Migration
from rag_pipeline.model import Access
from rag_pipeline.query import Answer, Caller, Filters, Index
from rag_pipeline.query.cache import value as value_module
from rag_pipeline.settings import Answers, Settings
from rag_pipeline.stages import Pipeline
from rag_pipeline_tests.chat_server import Asked, ChatServer, Reply, chat_server, error
from rag_pipeline_tests.redis_server import RedisServer, needs_redis, redis_server
from rag_pipeline_tests.scripted import Entry, ScriptedPipeline, World, scripted
from rag_pipeline_tests.unit.query.cache.waiting import seen_to_wait

pytestmark = needs_redis

QUESTION = "Where is the zeppelin moored?"
ANA, BO = Caller("user:ana", "group:pilots"), Caller("user:bo", "group:pilots")
PILOTS = Access.of(["group:pilots"])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(running: RedisServer, monkeypatch: pytest.MonkeyPatch) -> RedisServer:
    running.client.flushall()
    monkeypatch.setenv("RAG_REDIS_URL", running.url)
    return running


@pytest.fixture
def writer() -> Iterator[ChatServer]:
    """A model that never says the same twice, and cites the first excerpt."""

    def answer(asked: Asked) -> str:
        return f"At the mast, said for the {len(service.asked)}. time [{asked.tag}-1]."

    with chat_server(answer) as service:
        yield service


@pytest.fixture
def wiki(settings: Settings, writer: ChatServer) -> tuple[ScriptedPipeline, World]:
    """Pages that pilots may read, and a model that answers from them."""
    answers = Answers.model_validate(writer.settings())
    pipeline, world = scripted(settings.model_copy(update={"answers": answers}), "wiki")
    for number in range(4):
        world.documents[f"{number}.md"] = Entry(f"# Masts\n\nThe zeppelin is moored at mast {number}.\n", PILOTS)
    world.documents["closed.md"] = Entry(
        "# Closed\n\nThe zeppelin is hidden in hangar nine.\n", Access.of(["user:eve"])
    )
    pipeline.refresh("wiki")
    return pipeline, world


def asked(index: Index, caller: Caller = ANA, question: str = QUESTION, **more: Any) -> Answer:
    answer = index.answer(question, caller=caller, **more)
    assert answer.answer is not None
    assert answer.citations
    return answer


def test_what_was_asked_before_costs_nothing(
    wiki: tuple[ScriptedPipeline, World], redis: RedisServer, writer: ChatServer
) -> None:
    shown: list[str] = []
    with Index.connect(wiki[0].settings) as index:
        first = asked(index)
        again = asked(index, on_text=shown.append)
    with Index.connect(wiki[0].settings) as index:
        elsewhere = asked(index, question=" Where  is the\nzeppelin moored? ")
    assert len(writer.asked) == 1
    assert (first.cached, first.tokens, first.cost_usd) == (False, 120, Decimal("0.0003"))
    for answer in (again, elsewhere):
        assert (answer.cached, answer.tokens, answer.cost_usd) == (True, 0, 0)
        assert (answer.answer, answer.citations, answer.model) == (first.answer, first.citations, first.model)
        assert (answer.notes, answer.abstained) == (first.notes, first.abstained)
        assert answer.prompt_version == first.prompt_version
    assert "".join(shown) == first.answer
    assert [layer.name for layer in first.layers] == ["prompt", "cache", "model", "citations"]
    assert [layer.name for layer in again.layers] == ["prompt", "cache", "citations"]


def test_without_an_address_or_for_who_only_measures_nothing_is_kept(
    wiki: tuple[ScriptedPipeline, World], redis: RedisServer, writer: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Index.connect(wiki[0].settings, cache=False) as index:
        assert not any(asked(index).cached for _ in range(2))
    monkeypatch.delenv("RAG_REDIS_URL")
    with Index.connect(wiki[0].settings) as index:
        answers = [asked(index) for _ in range(2)]
    assert not any(answer.cached for answer in answers)
    assert [layer.name for layer in answers[-1].layers] == ["prompt", "model", "citations"]
    assert len(writer.asked) == 4
    assert redis.client.dbsize() == 0


def test_another_question_is_another(
    wiki: tuple[ScriptedPipeline, World], redis: RedisServer, writer: ChatServer
) -> None:
    """Whoever asks otherwise, for more, among less, or is somebody else."""
    others: list[dict[str, Any]] = [
        {"question": "Where is the ZEPPELIN moored?"},
        {"caller": BO},
        {"caller": Caller("group:pilots")},
        {"k": 2},
        {"filters": Filters(sources=["wiki"])},
    ]
    with Index.connect(wiki[0].settings) as index:
        asked(index)
        for other in others:
            assert not asked(index, **other).cached
            assert asked(index, **other).cached
        assert asked(index).cached
    assert len(writer.asked) == 6


def test_a_changed_document_a_new_one_and_a_lost_permission_each_miss(
    wiki: tuple[ScriptedPipeline, World], redis: RedisServer, writer: ChatServer
) -> None:
    pipeline, world = wiki
    with Index.connect(pipeline.settings) as index:
        asked(index)
        # Its text, outside of the chunk that is cited.
        world.documents["3.md"].text += "\n## More\n\nThe zeppelin mast is painted.\n"
        pipeline.refresh("wiki")
        assert not asked(index).cached
        assert asked(index).cached
        world.documents["0.md"].access = Access.of(["user:bo"])
        pipeline.refresh("wiki")
        assert not asked(index).cached
        assert "mast 0" not in writer.asked[-1].text
        assert asked(index).cached
        del world.documents["1.md"]
        pipeline.refresh("wiki")
        assert not asked(index).cached
        assert asked(index).cached
        with connect(pipeline.settings) as connection:
            connection.execute("insert into rag.principal_members (member, of_group) values ('user:ana', 'group:x')")
        assert asked(index).cached, "a group that reads nothing more changes nothing"
    assert "hangar nine" not in str([each.text for each in writer.asked])
    assert b"hangar nine" not in everything(redis)


def test_who_has_left_a_group_is_not_served(
    wiki: tuple[ScriptedPipeline, World], redis: RedisServer, writer: ChatServer
) -> None:
    """The same caller by name, whose groups stand in the index."""
    cy = Caller("user:cy")
    with connect(wiki[0].settings) as connection, Index.connect(wiki[0].settings) as index:
        connection.execute("insert into rag.principal_members (member, of_group) values ('user:cy', 'group:pilots')")
        asked(index, cy)
        assert asked(index, cy).cached
        connection.execute("delete from rag.principal_members where member = 'user:cy'")
        answer = index.answer(QUESTION, caller=cy)
        assert (answer.cached, answer.abstained, answer.citations) == (False, True, ())
        assert "mast" not in str(answer.answer)
    assert len(writer.asked) == 1


def test_a_change_around_what_was_found_misses(
    wiki: tuple[ScriptedPipeline, World], redis: RedisServer, writer: ChatServer
) -> None:
    """The model is shown the section around a hit, and nothing in the hit says that it has changed."""
    pipeline, world = wiki
    around = "\n\n".join(" ".join([f"Sail {number} is wide and white."] * 20) for number in range(3))
    balloon = Entry(f"# Shed\n\nThe balloon is kept in the shed.\n\n{around}\n", PILOTS)
    world.documents["balloon.md"] = balloon
    pipeline.refresh("wiki")
    with Index.connect(pipeline.settings) as index:
        first = asked(index, question='Where "the balloon is kept"', k=1)
        assert first.hits[0].text != first.hits[0].window
        balloon.text = balloon.text.removesuffix("white.\n") + "black.\n"
        pipeline.refresh("wiki")
        second = asked(index, question='Where "the balloon is kept"', k=1)
    assert [hit.chunk_id for hit in second.hits] == [hit.chunk_id for hit in first.hits]
    assert not second.cached


def everything(redis: RedisServer) -> bytes:
    """All that a Redis server holds, keys and values."""
    found: list[bytes] = []
    for name in redis.client.scan_iter():
        assert isinstance(name, bytes)
        value = redis.client.get(name) if b":day:" not in name else b""
        assert isinstance(value, bytes)
        found += [name, value]
    return b"\n".join(found)


def test_another_model_prompt_or_manner_misses(
    wiki: tuple[ScriptedPipeline, World], redis: RedisServer, writer: ChatServer
) -> None:
    settings = wiki[0].settings
    (settings.folder / "prompt.md").write_text(
        "Answer. Documents: <document $fence>. Cite so: [$tag-1]. </document $fence>"
    )
    with Index.connect(settings) as index:
        asked(index)
    for changed in ({"model": "writer-2"}, {"prompt": "prompt.md"}, {"temperature": 0.5}, {"answer_tokens": 300}):
        answers = Answers.model_validate(writer.settings(**changed))
        with Index.connect(settings.model_copy(update={"answers": answers})) as index:
            assert not asked(index).cached, changed
            assert asked(index).cached, changed


def test_another_generation_misses(settings: Settings, redis: RedisServer, writer: ChatServer) -> None:
    folder = settings.folder / "notes"
    folder.mkdir()
    (folder / "mast.md").write_text("# Masts\n\nThe zeppelin is moored at the mast.\n")
    source = {"name": "notes", "type": "files", "path": "notes", "access": ["public"]}
    base = settings.model_dump() | {"folder": settings.folder, "sources": [source], "answers": writer.settings()}
    before = Settings.model_validate(base)
    after = Settings.model_validate(base | {"embedding": {"provider": "hashed", "dimensions": 96}})
    Pipeline(before).refresh("notes")
    with Index.connect(before) as index:
        first = asked(index)
        migration = Migration(after)
        migration.start()
        assert asked(index).cached
        migration.publish()
        second = asked(index)
        assert not second.cached
        assert [hit.chunk_id for hit in second.hits] == [hit.chunk_id for hit in first.hits]
        migration.rollback()
        assert asked(index).answer == first.answer


def test_who_lost_a_permission_meanwhile_is_not_served(
    wiki: tuple[ScriptedPipeline, World], redis: RedisServer, writer: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the search and the look into the cache: the key is that of what could be read a moment ago."""
    pipeline, world = wiki
    with Index.connect(pipeline.settings) as index:
        asked(index)
        assert asked(index).cached
        kept = index._answering._kept
        assert kept is not None
        find = kept.find

        def late(*arguments: Any) -> Any:
            world.documents["0.md"].access = Access.of(["user:bo"])
            pipeline.refresh("wiki")
            return find(*arguments)

        monkeypatch.setattr(kept, "find", late)
        assert not asked(index).cached


def test_only_what_a_model_wrote_is_kept(
    wiki: tuple[ScriptedPipeline, World], redis: RedisServer, writer: ChatServer
) -> None:
    with Index.connect(wiki[0].settings) as index:
        for reply in (error(400), Reply(["At the"], finish_reason=None), Reply([])):
            writer.answers = lambda _, reply=reply: reply
            assert index.answer(QUESTION, caller=ANA).answer is None
        index.answer(QUESTION, caller=Caller("user:stranger"))
        assert all(b":day:" in name for name in redis.client.scan_iter() if isinstance(name, bytes))
        writer.answers = lambda asked: f"Moored [{asked.tag}-1], says [doc-99] and https://evil.example/x."
        first, again = asked(index), asked(index)
    assert again.cached
    assert (again.answer, again.notes, again.citations) == (first.answer, first.notes, first.citations)
    assert len(first.notes) == 2


@pytest.mark.parametrize("error", [TransientError("busy"), psycopg.errors.InsufficientPrivilege("no")])
def test_a_database_that_does_not_say_which_it_is_keeps_nothing(
    wiki: tuple[ScriptedPipeline, World],
    redis: RedisServer,
    writer: ChatServer,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    with Index.connect(wiki[0].settings) as index:

        def failing() -> str:
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(index._sessions, "deployment", failing)
            assert not any(asked(index).cached for _ in range(2))
        asked(index)
        # What may pass is tried again, what a right is missing for is not.
        assert asked(index).cached == isinstance(error, TransientError)


# The same at the same moment


@contextmanager
def held(writer: ChatServer, answers: Callable[[Asked], Reply | str]) -> Iterator[Event]:
    """Have the model answer when the event is set, at the end of the block at the latest."""
    go_on = Event()
    writer.answers = lambda asked: answers(asked) if go_on.wait() else ""
    try:
        yield go_on
    finally:
        go_on.set()


def wait_for(number: int, waiting: Semaphore, writer: ChatServer, most: int = 1) -> None:
    """Wait until so many wait for another's turn; meanwhile no more than `most` may have asked the model."""
    for _ in range(number):
        while not waiting.acquire(timeout=0.01):
            assert len(writer.asked) <= most


def test_who_asks_the_same_at_the_same_moment_is_given_the_same_answer_for_nothing(
    wiki: tuple[ScriptedPipeline, World], redis: RedisServer, writer: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same rights by the same name; who has another is answered beside them."""
    waiting = seen_to_wait(monkeypatch)
    shown: dict[int, list[str]] = {number: [] for number in range(5)}
    with (
        Index.connect(wiki[0].settings) as index,
        ThreadPoolExecutor(6) as threads,
        held(writer, writer.answers) as go_on,
    ):
        same = [threads.submit(asked, index, on_text=shown[number].append) for number in shown]
        other = threads.submit(asked, index, BO)
        wait_for(4, waiting, writer, most=2)
        while len(writer.asked) < 2:
            assert not other.done()
        go_on.set()
        answers = [each.result() for each in same]
        assert not other.result().cached
    assert len(writer.asked) == 2
    assert sorted(answer.cached for answer in answers) == [False, True, True, True, True]
    assert sorted(answer.tokens for answer in answers) == [0, 0, 0, 0, 120]
    for answer in answers:
        assert (answer.answer, answer.citations) == (answers[0].answer, answers[0].citations)
    assert ["".join(pieces) for pieces in shown.values()] == [answers[0].answer] * 5


def test_what_kept_one_from_an_answer_keeps_those_who_wait_for_it_too(
    wiki: tuple[ScriptedPipeline, World], redis: RedisServer, writer: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = seen_to_wait(monkeypatch)
    with (
        Index.connect(wiki[0].settings) as index,
        ThreadPoolExecutor(3) as threads,
        held(writer, lambda asked: error(400)) as go_on,
    ):
        same = [threads.submit(index.answer, QUESTION, caller=ANA) for _ in range(3)]
        wait_for(2, waiting, writer)
        go_on.set()
        answers = [each.result() for each in same]
    assert len(writer.asked) == 1
    for answer in answers:
        assert (answer.answer, answer.citations, answer.cached) == (None, (), False)
        assert answer.hits
        assert "because it refused the request" in answer.notes[-1]


def test_one_who_goes_away_takes_the_answer_from_nobody(
    wiki: tuple[ScriptedPipeline, World], redis: RedisServer, writer: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = seen_to_wait(monkeypatch)

    def gone(_: str) -> None:
        wait_for(1, waiting, writer)
        raise ConnectionAbortedError

    with Index.connect(wiki[0].settings) as index, ThreadPoolExecutor(2) as threads:
        first = threads.submit(asked, index, on_text=gone)
        while not writer.asked:
            assert not first.done()
        second = threads.submit(asked, index)
        assert isinstance(first.exception(), ConnectionAbortedError)
        assert not second.result().cached
        assert asked(index).cached
    assert len(writer.asked) == 2


def test_whose_right_was_taken_meanwhile_is_not_given_what_another_was_told(
    wiki: tuple[ScriptedPipeline, World], redis: RedisServer, writer: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, world = wiki
    waiting = seen_to_wait(monkeypatch)
    with (
        Index.connect(pipeline.settings) as index,
        ThreadPoolExecutor(2) as threads,
        held(writer, writer.answers) as go_on,
    ):
        same = [threads.submit(asked, index) for _ in range(2)]
        wait_for(1, waiting, writer)
        world.documents["0.md"].access = Access.of(["user:bo"])
        pipeline.refresh("wiki")
        go_on.set()
        assert not any(each.result().cached for each in same)
    assert len(writer.asked) == 2


# A cache in trouble


def empty(redis: RedisServer, name: bytes) -> None:
    redis.client.flushall()


def noise(redis: RedisServer, name: bytes) -> None:
    redis.client.set(name, b"\x80\x04\x95noise")


def another_type(redis: RedisServer, name: bytes) -> None:
    redis.client.delete(name)
    redis.client.hset(name, "text", "x")


def forge(redis: RedisServer, name: bytes, secret: bytes, **changed: Any) -> None:
    """Write what somebody would who knows the format and may write there; who knows the `secret` is believed."""
    found = redis.client.get(name)
    assert isinstance(found, bytes)
    key = name.decode().rpartition(":")[2]
    contents = json.loads(found)["answer"] | changed
    sealed = {"format": 2, "answer": contents, "seal": value_module._seal(key, contents, secret)}
    redis.client.set(name, value_module._canonical(sealed))


def test_words_that_another_wrote_into_the_cache_are_given_to_nobody(
    wiki: tuple[ScriptedPipeline, World], redis: RedisServer, writer: ChatServer
) -> None:
    with Index.connect(wiki[0].settings) as index:
        first = asked(index)
        [name] = [name for name in redis.client.scan_iter() if isinstance(name, bytes) and b":day:" not in name]
        seal = index._sessions.answer_seal
        forge(redis, name, seal(ANA.principals), text="At the bridge [cited-1].")
        assert asked(index).answer == "At the bridge [1].", "who knows the secret may"
        for secret in (b"", seal(BO.principals), seal(("public",)), seal(())):
            forge(redis, name, secret, text="At the pier [cited-1].")
            again = asked(index)
            assert (again.cached, again.citations) == (False, first.citations)
            assert "pier" not in str(again.answer)
            assert asked(index).cached, "it is replaced"


def test_what_is_not_sound_in_the_cache_is_asked_for_again(
    wiki: tuple[ScriptedPipeline, World], redis: RedisServer, writer: ChatServer
) -> None:
    with Index.connect(wiki[0].settings) as index:
        first = asked(index)
        secret = index._sessions.answer_seal(ANA.principals)

        def unknown_chunk(redis: RedisServer, name: bytes) -> None:
            forge(redis, name, secret, chunk_ids=["0" * 32 + "-" + "0" * 32])

        def unknown_mark(redis: RedisServer, name: bytes) -> None:
            forge(redis, name, secret, text="Moored [cited-99].")

        for spoil in (empty, noise, another_type, unknown_chunk, unknown_mark):
            assert asked(index).cached
            [name] = [name for name in redis.client.scan_iter() if isinstance(name, bytes) and b":day:" not in name]
            spoil(redis, name)
            before = len(writer.asked)
            again = asked(index)
            assert not again.cached, spoil
            assert again.citations == first.citations
            assert len(writer.asked) == before + 1
            redis.client.flushall()
            asked(index)


def test_a_stopped_or_frozen_cache_changes_no_answer(
    wiki: tuple[ScriptedPipeline, World], writer: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.answers = lambda asked: f"At the mast [{asked.tag}-1]."
    with redis_server(tmp_path) as server:
        monkeypatch.setenv("RAG_REDIS_URL", server.url)
        with Index.connect(wiki[0].settings) as index:
            first = asked(index)
            with server.frozen():
                frozen = asked(index)
        server.stop()
        with Index.connect(wiki[0].settings) as index:
            stopped = [asked(index) for _ in range(3)]
    for answer in (frozen, *stopped):
        assert not answer.cached
        assert (answer.answer, answer.citations, answer.notes) == (first.answer, first.citations, first.notes)


def test_an_address_that_is_none_is_said(wiki: tuple[ScriptedPipeline, World], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_REDIS_URL", "localhost")
    with Index.connect(wiki[0].settings) as index:
        assert index.search(QUESTION, caller=ANA)
        with pytest.raises(ConfigurationError, match="RAG_REDIS_URL"):
            index.answer(QUESTION, caller=ANA)


def test_what_was_saved_is_counted(
    wiki: tuple[ScriptedPipeline, World], redis: RedisServer, writer: ChatServer
) -> None:
    with Index.connect(wiki[0].settings) as index:
        for _ in range(4):
            asked(index)
        kept = index._answering._kept
        assert kept is not None
        cache = kept._opened_cache()
    assert cache is not None
    counts = cache.counts(1)
    assert counts is not None
    assert [(each.asked, each.found, each.tokens_saved, each.saved_usd) for each in counts] == [
        (4, 3, 360, Decimal("0.0009"))
    ]
