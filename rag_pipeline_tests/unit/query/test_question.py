from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.query import Caller, Filters

principals = st.lists(st.sampled_from(["public", "user:ana", "user:bob", "group:eng", "group:hr"]), min_size=1)


@given(principals, st.randoms())
def test_a_caller_is_a_set_of_principals_and_always_public(names: list[str], random) -> None:
    shuffled = [*names, *names]
    random.shuffle(shuffled)
    caller = Caller(*names)
    assert caller == Caller(*shuffled)
    assert set(caller.principals) == {*names, "public"}
    assert list(caller.principals) == sorted(set(caller.principals))


def test_nobody_is_no_caller() -> None:
    with pytest.raises(ValueError, match="at least one principal"):
        Caller()


@pytest.mark.parametrize("name", ["", "ana", "user:", "User:ana", "group:eng\n", "public ", "user:" + "a" * 300])
def test_a_malformed_principal_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a principal"):
        Caller("public", name)


def test_a_caller_and_filters_do_not_change() -> None:
    with pytest.raises(AttributeError):
        Caller("public").principals = ("user:root",)  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(AttributeError):
        Filters().sources = ()  # pyright: ignore[reportAttributeAccessIssue]


def test_sources_may_be_any_iterable_but_no_text() -> None:
    assert Filters(sources=iter(["a", "b"])).sources == ("a", "b")
    with pytest.raises(ValueError, match=r"write \['handbook'\]"):
        Filters(sources="handbook")


def test_a_moment_needs_a_time_zone() -> None:
    Filters(modified_since=datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(ValueError, match="time zone"):
        Filters(modified_since=datetime(2026, 1, 1))  # noqa: DTZ001 - that is what is refused


@pytest.mark.parametrize("where", [["team"], "team", {"team": object()}, {"team": float("nan")}])
def test_where_is_an_object_of_json_values(where) -> None:
    with pytest.raises(ValueError, match="object of JSON values"):
        Filters(where=where)


def test_where_is_sent_as_text_that_postgres_can_store() -> None:
    assert Filters(where={"b": "\0\ud800", "a": (1,)}).where_json == '{"a": [1], "b": "\ufffd\ufffd"}'
