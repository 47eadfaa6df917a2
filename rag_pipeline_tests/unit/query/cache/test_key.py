"""An answer is found again by everything that it was made from, and by nothing else."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.query import Caller, Filters
from rag_pipeline.query.cache import cache_key
from rag_pipeline.query.cache.key import normalised

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
MADE_FROM: dict[str, Any] = {
    "question": "How is a key rotated?",
    "caller": Caller("user:ana", "group:eng"),
    "filters": Filters(sources=["docs", "code"], modified_since=NOON, where={"team": 42, "tags": ["a"]}),
    "k": 8,
    "reranker": None,
    "generation": 3,
    "chunk_ids": ["a", "b"],
    "passages": ["Keys are rotated yearly.", "Keys live in the vault."],
    "model": "some-model",
    "parameters": {"temperature": 0.0, "max_tokens": 500},
    "prompt_version": "1f0d",
}
OTHER: dict[str, Any] = {
    "question": "How is a KEY rotated?",
    "caller": Caller("user:ana"),
    "filters": Filters(sources=["docs"], modified_since=NOON, where={"team": 42, "tags": ["a"]}),
    "k": 9,
    "reranker": "some-cross-encoder",
    "generation": 4,
    "chunk_ids": ["b", "a"],
    "passages": ["Keys are rotated monthly.", "Keys live in the vault."],
    "model": "another-model",
    "parameters": {"temperature": 0.1, "max_tokens": 500},
    "prompt_version": "1f0e",
}


def test_the_key_shows_nothing() -> None:
    key = cache_key(**MADE_FROM)
    assert len(key) == 64
    assert set(key) <= set("0123456789abcdef")


@pytest.mark.parametrize("name", OTHER)
def test_everything_that_an_answer_is_made_from_is_in_the_key(name: str) -> None:
    assert MADE_FROM.keys() == OTHER.keys()
    assert cache_key(**{**MADE_FROM, name: OTHER[name]}) != cache_key(**MADE_FROM)


@pytest.mark.parametrize(
    "narrowed",
    [
        {"media_types": ["text/markdown"]},
        {"uri_prefix": "file:"},
        {"languages": ["german"]},
        {"modified_until": NOON},
        {"modified_since": NOON - timedelta(seconds=1)},
        {"confirmed_since": NOON},
        {"where": {"team": "42", "tags": ["a"]}},
    ],
)
def test_every_filter_is_in_the_key(narrowed: dict[str, Any]) -> None:
    given = MADE_FROM["filters"]
    names = ("sources", "media_types", "uri_prefix", "languages", "modified_since", "modified_until", "confirmed_since")
    values = {name: getattr(given, name) for name in (*names, "where")}
    filters = Filters(**{**values, **narrowed})
    assert cache_key(**{**MADE_FROM, "filters": filters}) != cache_key(**MADE_FROM)


@pytest.mark.parametrize(
    "same",
    [
        {"question": "  How is a\tkey\n rotated? "},
        {"caller": Caller("group:eng", "public", "user:ana")},
        {
            "filters": Filters(
                sources=["code", "docs", "code"],
                modified_since=NOON.astimezone(timezone(timedelta(hours=5))),
                where={"tags": ["a"], "team": 42},
            )
        },
        {"parameters": {"max_tokens": 500, "temperature": 0.0}},
        {"chunk_ids": ("a", "b")},
    ],
    ids=lambda same: next(iter(same)),
)
def test_what_means_the_same_has_one_key(same: dict[str, Any]) -> None:
    assert cache_key(**{**MADE_FROM, **same}) == cache_key(**MADE_FROM)


def test_a_composed_and_a_decomposed_letter_are_one() -> None:
    composed, decomposed = ({**MADE_FROM, "question": text} for text in ("caf\u00e9", "cafe\u0301"))
    assert cache_key(**composed) == cache_key(**decomposed)


texts = st.lists(st.text(max_size=8), max_size=4)


@given(texts, texts, texts, texts)
def test_lists_do_not_run_into_one_another(
    ids: list[str], shown: list[str], ids2: list[str], shown2: list[str]
) -> None:
    def key(chunk_ids: list[str], passages: list[str]) -> str:
        return cache_key(**{**MADE_FROM, "chunk_ids": chunk_ids, "passages": passages})

    assert (key(ids, shown) == key(ids2, shown2)) == ((ids, shown) == (ids2, shown2))


@given(st.text(), st.sampled_from([str.upper, str.lower, lambda text: text + "?", lambda text: "x" + text]))
def test_another_question_has_another_key(question: str, change: Callable[[str], str]) -> None:
    first, second = question, change(question)
    keys = [cache_key(**{**MADE_FROM, "question": text}) for text in (first, second)]
    assert (keys[0] == keys[1]) == (normalised(first) == normalised(second))
