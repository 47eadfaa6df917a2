"""The large index's pages, vectors and callers: the same everywhere, near what they are made of, in the shares told."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.filters.truth import Truth
from benchmarks.large_index.callers import AUDIENCES, EVERYTHING, NOBODY, ONE_PAGE, access_lists
from benchmarks.large_index.passages import Passages
from benchmarks.large_index.variations import PARTS, Variations, VariedEmbedder
from rag_pipeline.chunks import split
from rag_pipeline.documents import declared_access, parse
from rag_pipeline.embeddings import in_order
from rag_pipeline.sources.media_types import MARKDOWN

COUNT, DIMENSIONS = 12, 16


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def some_passages() -> Passages:
    vectors = unit(np.random.default_rng(0).standard_normal((COUNT, DIMENSIONS)))
    sentences = tuple((f"Passage {n} says one thing.", f"# And {n} another!", "--- |") for n in range(COUNT))
    nearest = np.argsort(-(vectors @ vectors.T), axis=1)[:, :4].astype(np.int32)
    return Passages(tuple(f"Title: {n}" for n in range(COUNT)), sentences, vectors, nearest)


PASSAGES = some_passages()
VARIATIONS = Variations(PASSAGES)


def test_passages_are_kept_and_known_again(tmp_path: Path) -> None:
    file = tmp_path / "passages.npz"
    PASSAGES.save(file, "today")
    assert Passages.load(file, "yesterday") is None
    loaded = Passages.load(file, "today")
    assert loaded is not None
    assert (loaded.titles, loaded.sentences) == (PASSAGES.titles, PASSAGES.sentences)
    assert np.array_equal(loaded.vectors, PASSAGES.vectors)
    assert np.array_equal(loaded.nearest, PASSAGES.nearest)


@given(st.integers(0, 10_000_000))
def test_every_chunk_of_a_page_has_the_vector_of_what_it_is_made_of(number: int) -> None:
    page = VARIATIONS.page(number, [EVERYTHING]).encode()
    assert page == Variations(some_passages()).page(number, [EVERYTHING]).encode()
    assert declared_access(page, MARKDOWN, "page.md") == (EVERYTHING,)
    embedder = VariedEmbedder(VARIATIONS, "some/model")
    chunks = [c for s in split(parse(page, MARKDOWN), embedder.count_tokens, 200, 800) for c in s.chunks]
    assert len(chunks) == PARTS
    vectors = np.stack(in_order(embedder, [chunk.embed_text for chunk in chunks]))
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(PARTS), abs=1e-5)
    for vector, part in zip(vectors, VARIATIONS.parts(number), strict=True):
        mixed = (1 - part.share) * PASSAGES.vectors[part.passage] + part.share * PASSAGES.vectors[part.other]
        assert vector @ mixed / np.linalg.norm(mixed) > 0.75


def test_a_text_of_other_origin_has_no_vector() -> None:
    with pytest.raises(ValueError, match="not a chunk of a made-up page"):
        VARIATIONS.vector("Some title\nSome text")


def test_callers_may_read_their_share() -> None:
    pages = 4_000
    topics = unit(np.random.default_rng(1).standard_normal((pages, DIMENSIONS)))
    lists = access_lists(topics)
    admitted = {group: {page for page, allow in enumerate(lists) if group in allow} for group in groups()}
    for audience in AUDIENCES:
        assert len(admitted[audience.group]) == round(audience.percent / 100 * pages)
    assert (len(admitted[EVERYTHING]), len(admitted[ONE_PAGE]), len(admitted[NOBODY])) == (pages, 1, 0)
    by_topic = [admitted[audience.group] for audience in AUDIENCES if audience.kind == "by topic"]
    assert all(narrower < wider for wider, narrower in pairwise(by_topic))
    seed = topics[list(by_topic[-1])].mean(axis=0)
    inside, outside = (topics[list(chosen)] @ seed for chosen in (by_topic[1], set(range(pages)) - by_topic[0]))
    assert inside.min() > outside.mean()


def groups() -> list[str]:
    return [EVERYTHING, NOBODY, ONE_PAGE, *(audience.group for audience in AUDIENCES)]


def test_names_of_callers_are_distinct_and_plain() -> None:
    assert len({audience.column for audience in AUDIENCES}) == len(AUDIENCES)
    assert all(audience.column.isidentifier() for audience in AUDIENCES)
    assert AUDIENCES[2].name == "0.5 % at random"


def truth() -> Truth:
    """Four chunks, of which a caller may read three, and one question."""
    places = {name: place for place, name in enumerate("wxyz")}
    allowed = {1: frozenset({"group:a"}), 2: frozenset[str]()}
    return Truth(places, np.array([1, 1, 2, 1], np.int32), allowed, np.array([[0.9, 0.5, 0.8, 0.5]], np.float32), 2)


@pytest.mark.parametrize(
    ("found", "recall"),
    [("wx", 1), ("wz", 1), ("w", 0.5), ("xz", 0.5), ("wy", 0.5), ("ww", 0.5), ("", 0)],
    ids=["both", "as near", "one", "the second place only once", "hidden", "twice", "nothing"],
)
def test_recall_against_the_exact_answer(found: str, recall: float) -> None:
    assert truth().recall("group:a", [list(found)]) == recall


def test_what_a_caller_may_not_read_is_counted() -> None:
    assert truth().visible("group:a") == 3
    assert truth().hidden("group:a", [["w", "y"], ["y"]]) == 2
    assert truth().hidden(NOBODY, [["w"]]) == 1
