"""A model that writes, at the other end of a real connection: what it may do wrong, and what becomes of that."""

from collections.abc import Iterator
from typing import Any

import pytest

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.query.chat import ChatModel, Unwritten, Written
from rag_pipeline.settings import Answers
from rag_pipeline_tests.chat_server import MODEL, Asked, ChatServer, Reply, chat_server, error, event
from rag_pipeline_tests.serving import HELD

KEY = "sk-a-key-that-nobody-may-see"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with chat_server(lambda asked: Reply(["Keys are ", "rotated."])) as service:
        yield service


def model(service: ChatServer, **more: Any) -> ChatModel:
    return ChatModel(Answers.model_validate(service.settings(**more)), MODEL)


def written(chat: ChatModel) -> tuple[Written | Unwritten, list[str]]:
    pieces: list[str] = []
    return chat.write("Be brief.", "How?", pieces.append), pieces


def test_what_is_written_comes_in_pieces_with_what_it_took(service: ChatServer) -> None:
    came, pieces = written(model(service))
    assert came == Written("Keys are rotated.", f"{MODEL}-2026", 100, 20, cut=False)
    assert pieces == ["Keys are ", "rotated."]
    [asked] = service.asked
    assert asked.body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "How?"},
    ]
    expected = {"model": MODEL, "stream": True, "max_tokens": 800, "temperature": 0}
    assert expected.items() <= asked.body.items()
    assert "tools" not in asked.body
    assert asked.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("size", [1, 3, 100])
def test_thoughts_before_the_answer_are_no_part_of_it(service: ChatServer, size: int) -> None:
    text = "\n<think>\nThe user wants keys [1].\n</think>\n\nKeys are <rotated>."
    service.answers = lambda asked: Reply([text[at : at + size] for at in range(0, len(text), size)])
    came, pieces = written(model(service))
    assert isinstance(came, Written)
    assert came.text == "".join(pieces) == "Keys are <rotated>."
    service.answers = lambda asked: Reply(["<think>", "for ever"], finish_reason="length")
    came, pieces = written(model(service))
    assert isinstance(came, Unwritten)
    assert pieces == []


def test_a_service_that_does_not_tell_tokens_is_believed_to_have_none_told(service: ChatServer) -> None:
    service.answers = lambda asked: Reply(["yes"], usage=None, finish_reason="length")
    came, _ = written(model(service))
    assert came == Written("yes", f"{MODEL}-2026", None, None, cut=True)


@pytest.mark.parametrize("name", ["max_tokens", "temperature", "stream_options"])
def test_a_parameter_that_a_service_refuses_is_left_out_from_then_on(service: ChatServer, name: str) -> None:
    def answers(asked: Asked) -> Reply:
        if name in asked.body:
            return error(400, f"Unsupported parameter: '{name}'. Use 'max_completion_tokens' instead.")
        return Reply(["yes"])

    service.answers = answers
    chat = model(service)
    for _ in range(2):
        came, _ = written(chat)
        assert isinstance(came, Written)
    assert len(service.asked) == 3
    assert service.asked[-1].body.get("max_completion_tokens", service.asked[-1].body.get("max_tokens")) == 800


@pytest.mark.parametrize(
    "refusal",
    [
        "'max_tokens' or 'max_completion_tokens' is too large: 800. This model's maximum context length is 4096 tokens "
        "and your request has 3900 input tokens",
        "This model's maximum context length is 4096 tokens. Please reduce max_tokens or the length of the messages.",
    ],
)
def test_one_question_that_is_too_long_takes_no_bound_from_the_next(service: ChatServer, refusal: str) -> None:
    chat = model(service)
    service.answers = lambda asked: error(400, refusal)
    came, _ = written(chat)
    assert isinstance(came, Unwritten)
    assert came.because == "it refused the request"
    assert len(service.asked) == 1
    service.answers = lambda asked: Reply(["yes"])
    written(chat)
    assert service.asked[-1].body["max_tokens"] == 800


def test_what_is_left_out_in_vain_is_sent_again(service: ChatServer) -> None:
    chat = model(service)
    service.answers = lambda asked: error(400, "temperature: the model is being loaded")
    written(chat)
    service.answers = lambda asked: Reply(["yes"])
    written(chat)
    assert service.asked[-1].body["temperature"] == 0


def test_a_service_that_refuses_everything_is_not_asked_for_ever(service: ChatServer) -> None:
    service.answers = lambda asked: error(400, "max_tokens max_completion_tokens temperature stream_options")
    came, _ = written(model(service))
    assert isinstance(came, Unwritten)
    assert (came.because, came.charged) == ("it refused the request", False)
    assert len(service.asked) <= 6


def test_a_busy_service_is_asked_again_while_there_is_time(service: ChatServer) -> None:
    service.answers = lambda asked: error(503) if len(service.asked) < 3 else Reply(["at last"])
    came, pieces = written(model(service))
    assert isinstance(came, Written)
    assert pieces == ["at last"]
    assert len(service.asked) == 3


@pytest.mark.parametrize(
    ("reply", "because", "charged"),
    [
        (error(401, f"wrong key {KEY}"), "it refused the request", False),
        (error(404, "no such model"), "it refused the request", False),
        (Reply(["half an "], finish_reason=None, usage=None), "what it sent is no answer", True),
        (Reply([" \n"]), "what it sent is no answer", True),
        (Reply(finish_reason="content_filter"), "what it sent is no answer", True),
        (Reply(["half an "], finish_reason="content_filter"), "what it sent is no answer", True),
        (Reply(["half an "], finish_reason="tool_calls"), "what it sent is no answer", True),
        (Reply(["\u200b\u2060"]), "what it sent is no answer", True),
        (
            Reply(events=b'data: {"choices": [{"delta": {"content": "\xff\xfe"}}]}\n\n'),
            "what it sent is no answer",
            True,
        ),
        (Reply(events=b"data: {broken\n\n"), "what it sent is no answer", True),
        (Reply(events=b"data: [1]\n\ndata: [DONE]\n\n"), "what it sent is no answer", True),
        (Reply(events=b'data: {"error": {"message": "out of memory"}}\n\n'), "what it sent is no answer", True),
        (Reply(events=b'{"choices": [{"message": {"content": "no stream"}}]}'), "what it sent is no answer", True),
        (Reply(events=event({"delta": {"content": 7}, "finish_reason": "stop"})), "what it sent is no answer", True),
    ],
)
def test_what_is_no_answer(service: ChatServer, reply: Reply, because: str, charged: bool) -> None:
    service.answers = lambda asked: reply
    came, _ = written(model(service))
    assert isinstance(came, Unwritten)
    assert (came.because, came.charged) == (because, charged)
    assert KEY not in came.detail
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    "reply", [Reply(["slow"] * 90, drip=0.05), Reply(["late"], seconds=HELD)], ids=["drip", "held"]
)
def test_what_takes_too_long_is_given_up(service: ChatServer, reply: Reply) -> None:
    """The one answer would take four times as long, the other for ever."""
    service.answers = lambda asked: reply
    came, _ = written(model(service, seconds=1))
    assert isinstance(came, Unwritten)
    assert (came.because, came.charged) == ("it took too long", True)
    assert KEY not in came.detail
    assert len(service.asked) <= 1


def test_what_a_service_calls_itself_can_be_shown(service: ChatServer) -> None:
    service.answers = lambda asked: Reply(
        events=event({"delta": {"content": "yes"}, "finish_reason": "stop"}, model="w\ud800" + "x" * 5_000)
    )
    came, _ = written(model(service))
    assert isinstance(came, Written)
    assert came.model == ("w\ufffd" + "x" * 5_000)[:200]


def test_nobody_there_is_nothing_charged(service: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_pipeline.query.chat._DELAY", 0.01)
    chat = ChatModel(Answers.model_validate(service.settings(base_url="http://127.0.0.1:9/v1")), MODEL)
    came, _ = written(chat)
    assert isinstance(came, Unwritten)
    assert (came.because, came.charged) == ("it is busy or away", False)


def test_a_model_that_disregards_its_bound_is_stopped(service: ChatServer) -> None:
    service.answers = lambda asked: Reply(["word " * 20] * 10_000)
    came, pieces = written(model(service, answer_tokens=16))
    assert isinstance(came, Written)
    assert came.cut
    assert len("".join(pieces)) < 1_000
    service.answers = lambda asked: Reply(["word " * 1_000_000])
    came, pieces = written(model(service, answer_tokens=16))
    assert isinstance(came, Written)
    assert came.cut
    assert len("".join(pieces)) < 1_000


@pytest.mark.parametrize("key", ["two words", "schlüssel"])
def test_a_key_that_is_none_is_said_before_anything_is_sent(
    service: ChatServer, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY holds what no key does"):
        model(service)


def test_openai_itself_wants_a_key_and_is_told_tokens_in_its_own_word(
    service: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    chat = model(service, base_url=None)
    assert chat.parameters["base_url"] == "https://api.openai.com/v1/"
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ConfigurationError, match=r"name another service: \[answers\] base_url"):
        model(service, base_url=None)
