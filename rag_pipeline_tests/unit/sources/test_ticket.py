import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.errors import DocumentError
from rag_pipeline.model import NOBODY, Access
from rag_pipeline.settings import TicketFields
from rag_pipeline.sources.ticket import BODY_TYPES, Comment, Ticket, access_of, value_at
from rag_pipeline.storable import storable

TEXT = st.text(max_size=20).map(storable)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.sampled_from(["public", "group:hr", "user:ana, group:b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
TICKETS = st.builds(
    Ticket,
    title=TEXT,
    body=TEXT,
    state=TEXT,
    labels=st.lists(TEXT, max_size=3).map(tuple),
    author=TEXT,
    created_at=TEXT,
    updated_at=TEXT,
    body_type=st.sampled_from(BODY_TYPES),
    comments=st.lists(st.builds(Comment, TEXT, TEXT, TEXT), max_size=3).map(tuple),
    metadata=st.dictionaries(TEXT, JSON, max_size=3),
)
FULL = TicketFields(
    id="key",
    title="fields.summary",
    body="fields.description",
    state="fields.status.name",
    labels="fields.labels",
    author="fields.people.0.name",
    created_at="created",
    updated_at="updated",
    access="who",
    comments="fields.comments",
    comment_author="author.name",
    comment_body="text",
    comment_at="at",
    metadata={"points": "fields.points", "team": "fields.team", "id": "uid"},
)
RECORD = {
    "key": "A-1",
    "created": datetime(2024, 5, 3, 12, tzinfo=timezone(timedelta(hours=2))),
    "updated": date(2024, 5, 4),
    "uid": UUID(int=7),
    "fields": {
        "summary": "Broken",
        "description": "It **is**.",
        "status": {"name": "open"},
        "labels": [{"name": "bug"}, "ui ", "bug", {"other": 1}],
        "people": [{"name": "ana"}],
        "points": Decimal("3.5"),
        "comments": [{"author": {"name": "ben"}, "text": "Yes.", "at": None}, "plain"],
    },
}


@settings(max_examples=150, deadline=None)
@given(TICKETS)
def test_what_is_written_is_read_again(ticket):
    data = ticket.to_bytes()
    assert Ticket.from_bytes(data) == ticket
    shuffled = replace(ticket, metadata=dict(reversed(ticket.metadata.items())))
    assert shuffled.to_bytes() == data


def test_text_that_cannot_be_stored_is_replaced():
    assert Ticket.from_bytes(Ticket("\ud800", "a\0b").to_bytes()) == Ticket("\ufffd", "a\ufffdb")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b"1",
        b"{}",
        b'{"title": "x"}',
        b'{"title": 1, "body": ""}',
        b'{"title": "", "body": "", "more": ""}',
        b'{"title": "", "body": "", "labels": "bug"}',
        b'{"title": "", "body": "", "labels": [1]}',
        b'{"title": "", "body": "", "comments": [{}]}',
        b'{"title": "", "body": "", "comments": ["x"]}',
        b'{"title": "", "body": "", "comments": [{"author": "", "at": "", "body": null}]}',
        b'{"title": "", "body": "", "body_type": "application/pdf"}',
        b'{"title": "", "body": "", "metadata": []}',
        b'{"title": "", "body": "", "metadata": {"x": NaN}}',
    ],
)
def test_anything_else_is_refused(data):
    with pytest.raises(DocumentError) as caught:
        Ticket.from_bytes(data)
    assert "\n" not in str(caught.value)


def test_what_is_too_deep_or_too_large_is_refused():
    around = (b'{"title": "", "body": "", "metadata": {"x": ', b"}}")
    inside = (b"9" * 5000, b"9" * 400, b"[" * 100 + b"]" * 100, b"[" * 100_000 + b"]" * 100_000)
    for data in (*(value.join(around) for value in inside), b" " * 50_000_001):
        with pytest.raises(DocumentError):
            Ticket.from_bytes(data)


def test_what_is_no_json_cannot_be_written():
    loop: list[object] = []
    loop.append(loop)
    for value in (float("nan"), object(), loop):
        with pytest.raises(DocumentError):
            Ticket("", "", metadata={"x": value}).to_bytes()


def test_a_record_becomes_a_ticket_by_its_mapping():
    ticket = Ticket.from_record(RECORD, FULL, "text/plain")
    assert ticket == Ticket(
        title="Broken",
        body="It **is**.",
        state="open",
        labels=("bug", "ui"),
        author="ana",
        created_at="2024-05-03T10:00:00+00:00",
        updated_at="2024-05-04",
        body_type="text/plain",
        comments=(Comment("ben", "", "Yes."), Comment("", "", "plain")),
        metadata={"points": 3.5, "id": "00000000-0000-0000-0000-000000000007"},
    )
    assert Ticket.from_bytes(ticket.to_bytes()) == ticket


def test_missing_columns_stay_empty():
    assert Ticket.from_record({}, FULL) == Ticket("", "")
    assert Ticket.from_record({"title": 12, "body": True}, TicketFields()) == Ticket("12", "true")


@pytest.mark.parametrize(
    ("record", "labels"),
    [({"l": "a, b,,a"}, ("a", "b")), ({"l": 7}, ("7",)), ({"l": None}, ()), ({"l": ("x",)}, ("x",))],
)
def test_labels(record, labels):
    assert Ticket.from_record(record, TicketFields(labels="l")).labels == labels


@pytest.mark.parametrize(
    "record",
    [
        {"title": ["x"]},
        {"body": {"type": "doc"}},
        {"comments": 3},
        {"comments": {"nodes": []}},
        {"comments": [{"body": ["x"]}]},
        {"title": 10**500},
        {"more": json.loads("[" * 60 + "]" * 60)},
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(record):
    with pytest.raises(DocumentError):
        Ticket.from_record(record, TicketFields(comments="comments", metadata={"more": "more"}))


def test_the_time_zone_of_a_session_does_not_change_a_ticket():
    moment = datetime(2024, 5, 3, 10, tzinfo=UTC)
    fields = TicketFields(updated_at="at")
    tickets = [
        Ticket.from_record({"at": moment.astimezone(timezone(timedelta(hours=hours)))}, fields) for hours in (-3, 0, 9)
    ]
    assert len({ticket.to_bytes() for ticket in tickets}) == 1


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a", {"b.c": 1, "b": {"c": 2, "d": [3, {"e": 4}]}}),
        ("a.b.c", 1),
        ("a.b.d.0", 3),
        ("a.b.d.1.e", 4),
        ("a.b.d.2", None),
        ("a.b.d.-1", None),
        ("a.b.d.x", None),
        ("a.b.d." + "9" * 5000, None),
        ("a.x.y", None),
        ("t.0", None),
        ("x.y", 5),
        ("x", None),
        ("n.m", None),
    ],
)
def test_a_path_leads_to_a_value(path, value):
    record = {"a": {"b.c": 1, "b": {"c": 2, "d": [3, {"e": 4}]}}, "t": "text", "x.y": 5, "n": None}
    assert value_at(record, path) == value


@pytest.mark.parametrize(
    ("value", "access"),
    [
        (["group:hr", "user:ana"], Access.of(["group:hr", "user:ana"])),
        ("group:hr, user:Ana Lee", Access.of(["group:hr", "user:Ana Lee"])),
        ("group:hr user:ana", Access.of(["group:hr", "user:ana"])),
        (("public",), Access.of(["public"])),
        ("public", Access.of(["public"])),
        ([], NOBODY),
        ("", NOBODY),
        (None, NOBODY),
        ("group:hr,", NOBODY),
        ("everyone", NOBODY),
        (["group:hr", "Everyone"], NOBODY),
        (["public", 1], NOBODY),
        ({"public": True}, NOBODY),
        (True, NOBODY),
        ('["public"]', NOBODY),
        (["user:a" + str(number) for number in range(5001)], NOBODY),
    ],
)
def test_access_fails_closed(value, access):
    assert access_of({"who": value}, TicketFields(access="who")) == access


def test_a_record_without_an_access_field_is_nobodys_and_without_a_mapping_the_source_decides():
    assert access_of({}, TicketFields(access="who")) == NOBODY
    assert access_of({"who": ["public"]}, TicketFields()) is None


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(st.none() | st.booleans() | st.text(max_size=9), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_access_is_never_wider_than_what_is_written(value):
    access = access_of({"who": value}, TicketFields(access="who"))
    assert access is not None
    written = json.dumps(value, ensure_ascii=False)
    assert all(name in written for name in access.allow)
