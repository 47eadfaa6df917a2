"""The service over a real index: who sees what, what goes wrong in which words, and what is counted."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from httpx2 import Response
from prometheus_client.parser import text_string_to_metric_families
from psycopg import Connection, sql
from pydantic import TypeAdapter
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from rag_pipeline.database.connection import server_url
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.model import Access
from rag_pipeline.query import Caller, Filters, Hits, Index
from rag_pipeline.query.hits import Hit
from rag_pipeline.service import create_app
from rag_pipeline.service.bodies import FiltersBody, SearchBody
from rag_pipeline.service.problems import NOT_READY
from rag_pipeline.settings import Settings
from rag_pipeline_tests.scripted import Entry, scripted
from rag_pipeline_tests.unit.service.signing import AUDIENCE, ISSUER, SECRET, claims, signed

READERS = {
    "open.md": Access.of(["public"]),
    "eng.md": Access.of(["group:eng"]),
    "ana.md": Access.of(["user:ana"]),
    "not-eve.md": Access.of(["public"], ["user:eve"]),
    "nobody.md": Access(),
}
CALLERS = {"ana": ["eng"], "bob": ["eng"], "eve": [], "zoe": ["hr"]}
QUESTION = "how is a key rotated"
FILTERS: list[dict[str, Any]] = [{}, {"where": {"team": 6}}, {"sources": ["handbook"]}, {"sources": []}]
UNMEANT: list[tuple[Any, str]] = [
    ({}, "/text"),
    ({"text": ""}, "/text"),
    ({"text": 7}, "/text"),
    ({"text": "x" * 10_001}, "/text"),
    ({"text": "a", "k": 0}, "/k"),
    ({"text": "a", "k": 101}, "/k"),
    ({"text": "a", "k": "10"}, "/k"),
    ({"text": "a", "principals": ["user:boss"]}, "/principals"),
    ({"text": "a", "caller": "user:boss"}, "/caller"),
    ({"text": "a", "filters": {"acl": 1}}, "/filters/acl"),
    ({"text": "a", "filters": {"sources": "handbook"}}, "/filters/sources"),
    ({"text": "a", "filters": {"sources": ["s"] * 101}}, "/filters/sources"),
    ({"text": "a", "filters": {"modified_since": "yesterday"}}, "/filters/modified_since"),
    ({"text": "a", "filters": {"where": [1]}}, "/filters/where"),
    ([1], ""),
    ("secret words", ""),
]


def caller(user: str) -> Caller:
    return Caller(f"user:{user}", *(f"group:{group}" for group in CALLERS[user]))


def authorized(user: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {signed(claims(sub=user, groups=CALLERS[user]))}"}


@pytest.fixture
def configured(settings: Settings) -> Settings:
    """Five documents, each for other readers, in an index; tokens say who asks."""
    pipeline, world = scripted(settings, "handbook")
    for name, access in READERS.items():
        sections = "".join(
            f"## Part {part} of {name}\n\nHow a key{part} is rotated in {name}.\n\n" for part in range(4)
        )
        world.documents[name] = Entry(f"# {name}\n\n{sections}", access, {"team": len(name)})
    assert pipeline.refresh("handbook").added == len(READERS)
    service = {"issuer": ISSUER, "audience": AUDIENCE, "max_body_kb": 64}
    values = {**settings.model_dump(), "folder": settings.folder, "service": service, "retrieval": {"per_document": 20}}
    return Settings.model_validate(values)


@pytest.fixture
def index(configured: Settings) -> Iterator[Index]:
    with Index.connect(configured) as index:
        yield index


def app(settings: Settings, index: Index, **options: Any) -> ASGIApp:
    return create_app(settings, index=index, environ={"RAG_TOKEN_SECRET": SECRET}, **options)


@pytest.fixture
def client(configured: Settings, index: Index) -> TestClient:
    return TestClient(app(configured, index), base_url="http://localhost")


def is_problem(answer: Response, status: int, words: str) -> None:
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert answer.json()["status"] == status
    assert words in answer.json()["detail"]


def as_json(hits: Hits) -> Any:
    return TypeAdapter(tuple[Hit, ...]).dump_python(tuple(hits), mode="json")


def test_each_caller_gets_what_the_index_gives_that_caller(client: TestClient, index: Index) -> None:
    seen = {}
    for user in CALLERS:
        for filters in FILTERS:
            body = {"text": QUESTION, "k": 20, "filters": filters}
            answer = client.post("/search", json=body, headers=authorized(user))
            assert answer.status_code == 200, answer.text
            expected = index.search(QUESTION, caller=caller(user), k=20, filters=Filters(**filters))
            assert answer.json()["hits"] == as_json(expected)
            as_of = answer.json()["as_of"]
            assert (datetime.fromisoformat(as_of) if as_of else None) == expected.as_of
        seen[user] = {
            hit["document_id"]
            for hit in client.post("/search", json={"text": QUESTION, "k": 20}, headers=authorized(user)).json()["hits"]
        }
    assert seen == {
        "ana": {"open.md", "not-eve.md", "eng.md", "ana.md"},
        "bob": {"open.md", "not-eve.md", "eng.md"},
        "eve": {"open.md"},
        "zoe": {"open.md", "not-eve.md"},
    }


def test_an_answer_has_the_keys_of_a_hit_and_explains_itself_on_request(client: TestClient) -> None:
    body = {"text": QUESTION, "k": 2}
    plain = client.post("/search", json=body, headers=authorized("ana")).json()
    assert plain.keys() == {"as_of", "hits", "windows", "reranked", "notes", "explanation"}
    assert plain["hits"][0].keys() == {field.name for field in fields(Hit)}
    assert plain["explanation"] is None
    explained = client.post("/search", json=body | {"explain": True}, headers=authorized("ana")).json()
    assert explained["hits"] == plain["hits"]
    explanation = explained["explanation"]
    assert {"vector", "keyword"} <= {layer["name"] for layer in explanation["layers"]}
    assert [trace["chunk_id"] for trace in explanation["traces"] if trace["rank"] == 1] == [
        plain["hits"][0]["chunk_id"]
    ]
    assert all((trace["rank"] is None) == (trace["dropped"] is not None) for trace in explanation["traces"])
    # A plan estimates how many rows there are for others.
    assert explanation["plan"] == []
    assert '"score' not in json.dumps(explained)


def test_reading_on_stays_within_what_the_caller_may_read(client: TestClient, index: Index) -> None:
    hits = index.search(QUESTION, caller=caller("ana"), k=20)
    (chunk,) = {hit.chunk_id for hit in hits if hit.document_id == "ana.md" and "key2" in hit.text}
    asked = {"chunk_id": chunk, "before": 1, "after": 200}
    passage = client.post("/window", json=asked, headers=authorized("ana")).json()
    expected = index.window(chunk, caller=caller("ana"), before=1, after=200)
    assert expected is not None
    assert passage == json.loads(json.dumps(asdict(expected), default=str))
    assert (len(passage["sections"]), passage["later"]) == (3, 0)
    (start, end), text = passage["sections"][1]["hit"], passage["sections"][1]["text"]
    assert "key2" in text[start:end]
    hidden = client.post("/window", json=asked, headers=authorized("bob"))
    unknown = client.post("/window", json=asked | {"chunk_id": chunk[::-1]}, headers=authorized("bob"))
    is_problem(hidden, 404, "no such chunk")
    assert hidden.content == unknown.content


def test_without_a_token_nobody_is_answered(client: TestClient) -> None:
    questions = (
        ("POST", "/search", {"text": QUESTION}),
        ("POST", "/window", {"chunk_id": "x"}),
        ("GET", "/caller", None),
    )
    forged = {"X-Forwarded-User": "ana", "X-Forwarded-Groups": "eng", "Remote-User": "ana"}
    headed: tuple[dict[str, str], ...] = ({}, forged, {"Authorization": f"Bearer {signed(claims(exp=1))}"})
    for (method, path, body), headers in product(questions, headed):
        answer = client.request(method, path, json=body, headers=headers)
        is_problem(answer, 401, "expired" if "Authorization" in headers else "Authorization: Bearer TOKEN")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_the_caller_is_whom_the_token_names(client: TestClient) -> None:
    answer = client.get("/caller?as=user:boss", headers=authorized("ana") | {"X-Forwarded-User": "boss"})
    assert answer.json() == {"principals": ["group:eng", "public", "user:ana"]}


def test_a_body_that_cannot_be_meant_is_told_where(client: TestClient) -> None:
    for body, pointer in UNMEANT:
        answer = client.post("/search", json=body, headers=authorized("ana"))
        is_problem(answer, 422, pointer)
        assert pointer in {error["pointer"] for error in answer.json()["errors"]}
        assert "secret words" not in answer.text
        assert "user:boss" not in answer.text


def test_other_requests_that_cannot_be_meant(client: TestClient) -> None:
    headers = authorized("ana")
    sent = headers | {"Content-Type": "application/json"}
    is_problem(client.post("/search", json={"text": "  "}, headers=headers), 422, "the question is empty")
    is_problem(client.post("/search", content="{", headers=sent), 400, "no JSON")
    is_problem(client.post("/search", content="[" * 50_000, headers=sent), 400, "")
    is_problem(client.post("/search", content='{"text": "a"}', headers=headers), 422, "Content-Type: application/json")
    is_problem(client.post("/search", content="x" * 64_001, headers=sent), 413, "larger than 64,000 bytes")
    is_problem(client.get("/search", headers=headers), 405, "another method")
    is_problem(client.get("/admin", headers=headers), 404, "nothing at this address")
    text = {"text": "\x00\ud800 key \u202e"}
    assert client.post("/search", content=json.dumps(text), headers=sent).status_code in (200, 400, 422)
    deep: dict[str, Any] = {"text": "a", "filters": {"where": json.loads('{"a":' * 500 + "1" + "}" * 500)}}
    assert client.post("/search", json=deep, headers=headers).status_code in (200, 422)


def test_filters_can_say_all_that_the_index_understands() -> None:
    assert FiltersBody.model_fields.keys() == {field.name for field in fields(Filters)}
    body = FiltersBody.model_validate({"modified_since": "2026-01-31", "modified_until": "2026-02-01T08:00:00+01:00"})
    filters = body.filters()
    assert filters.modified_since == datetime(2026, 1, 31, tzinfo=UTC)
    assert filters.modified_until == datetime(2026, 2, 1, 7, tzinfo=UTC)


def test_callers_at_the_same_time_are_not_mixed_up(client: TestClient, index: Index) -> None:
    expected = {user: as_json(index.search(QUESTION, caller=caller(user), k=20)) for user in CALLERS}

    def ask(number: int) -> bool:
        user = list(CALLERS)[number % len(CALLERS)]
        answer = client.post("/search", json={"text": QUESTION, "k": 20}, headers=authorized(user))
        return answer.json()["hits"] == expected[user]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(80)))


def test_what_is_counted_names_nobody(client: TestClient) -> None:
    client.post("/search", json={"text": QUESTION, "k": 3, "explain": True}, headers=authorized("ana"))
    client.post("/search", json={"text": QUESTION, "filters": {"sources": []}}, headers=authorized("ana"))
    client.post("/search", json={"text": QUESTION})
    client.get("/no/such/place")
    answer = client.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["rag_requests_total", "/search", "200"] == 2
    assert samples["rag_requests_total", "/search", "401"] == 1
    assert samples["rag_requests_total", "other", "404"] == 1
    assert samples["rag_request_seconds_count", "/search"] == 3
    assert samples["rag_hits_total",] == 3
    assert samples["rag_searches_without_hit_total",] == 1
    assert samples["rag_layer_seconds_count", "vector"] == 2
    assert samples["rag_index_up",] == 1
    assert 0 <= samples["rag_index_age_seconds",] < 300
    assert samples["rag_layer_kept_total", "windows"] == 3
    client.post("/answer", json={"text": QUESTION}, headers=authorized("ana"))
    answer = client.get("/metrics")
    assert re.search(r'^rag_answers_total{outcome="(quoted|not_known)"} 1\.0$', answer.text, re.MULTILINE)
    for word in ("ana", "handbook", "rotated", "no/such"):
        assert word not in answer.text


def test_a_healthy_index_is_told_to_anyone(client: TestClient) -> None:
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json().keys() == {"status", "as_of"}
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_an_index_that_is_empty_or_gone_is_told_without_its_secrets(
    settings: Settings, administrator: Connection[Any]
) -> None:
    url = server_url(settings)
    with Index.connect(settings) as index:
        client = TestClient(app(settings, index, caller=Caller("public")), base_url="http://localhost")
        for answer in (client.get("/health"), client.post("/search", json={"text": QUESTION})):
            is_problem(answer, 503, NOT_READY)
        assert "rag_index_up 0.0" in client.get("/metrics").text
        (name,) = re.findall(r"/(test_\w+)", url)
        administrator.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
        index._pool.timeout = 1  # There is nothing more to wait for.
        answer = TestClient(app(settings, index, caller=Caller("public")), base_url="http://localhost").get("/health")
        is_problem(answer, 503, NOT_READY)
        assert name not in answer.text


class Broken(Index):
    """An index with a fault of its own."""

    def search(self, *arguments: Any, **options: Any) -> Hits:
        raise ZeroDivisionError("postgresql://ana:password@inside")


def test_a_fault_says_nothing_of_what_is_inside(configured: Settings, index: Index) -> None:
    broken = Broken(index._pool, configured)
    wrapped = app(configured, broken, caller=Caller("public"))
    client = TestClient(wrapped, base_url="http://localhost", raise_server_exceptions=False)
    answer = client.post("/search", json={"text": QUESTION})
    is_problem(answer, 500, "whoever runs the service finds it in the log")
    assert "inside" not in answer.text
    assert "Zero" not in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_fixed_caller_is_served_under_this_machines_names_only(configured: Settings, index: Index) -> None:
    client = TestClient(
        app(configured, index, caller=Caller("user:ana", "group:eng")), base_url="http://localhost:8000"
    )
    assert client.get("/caller", headers=authorized("eve")).json()["principals"] == ["group:eng", "public", "user:ana"]
    assert client.get("/caller", headers={"Host": "evil.example"}).status_code == 421
    evil = {"Origin": "https://evil.example"}
    assert client.post("/search", json={"text": QUESTION}, headers=evil).status_code == 403


def test_a_model_that_answers_after_the_end_of_a_request_is_refused(settings: Settings, index: Index) -> None:
    def opened(answers: dict[str, Any], service: dict[str, Any]) -> ASGIApp:
        sections = {"answers": {"model": "writer"} | answers, "service": service}
        values = {**settings.model_dump(), "folder": settings.folder, **sections}
        return create_app(Settings.model_validate(values), index=index, caller=Caller("public"))

    assert opened({}, {}), "the defaults fit together"
    assert opened({"seconds": 60}, {"request_seconds": 65})
    assert opened({"seconds": 60, "model": None}, {})
    for answers, service in (({"seconds": 60}, {}), ({}, {"request_seconds": 29}), ({"seconds": 25.5}, {})):
        with pytest.raises(
            ConfigurationError, match=r"request_seconds = .* must be 5 or more above \[answers\] seconds"
        ):
            opened(answers, service)


def test_the_schema_describes_every_address_with_an_example(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    assert schema["paths"].keys() == {"/search", "/answer", "/window", "/caller", "/health", "/metrics"}
    (example,) = schema["components"]["schemas"]["SearchBody"]["examples"]
    assert SearchBody.model_validate(example).k == 3
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            assert operation["summary"], path


def test_the_page_runs_its_own_script_and_no_other(client: TestClient) -> None:
    answer = client.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert len(re.findall("'sha256-[A-Za-z0-9+/]{43}='", policy)) == 2
    # Nothing is loaded from elsewhere, nothing is parsed as HTML, nothing is kept.
    assert set(re.findall(r"https?://[\w.]+", answer.text)) == {"http://www.w3.org"}
    for name in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "localStorage", " style="):
        assert name not in answer.text
