"""What is read around the hits: no text twice, neighbours joined, nothing that did not come with a hit."""

import re

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.query.hits import Candidate
from rag_pipeline.query.windows import merged_windows
from rag_pipeline_tests.unit.query.candidates import MOMENT, candidate

GAPS = ("", "\n", "\n\n", "\n\n\n", "\n\n\n\n", "\n\n# A\n\n", "\n\n## Parent\n\n")


@st.composite
def hits_of_documents(draw: st.DrawFn) -> tuple[dict[str, str], list[Candidate]]:
    """The texts of some documents, and hits in some of their sections, in any order."""
    texts: dict[str, str] = {}
    hits: list[Candidate] = []
    for document in draw(st.sets(st.sampled_from(["a.md", "b.md", "c.md"]), min_size=1)):
        text = ""
        for number in range(draw(st.integers(1, 6))):
            text += draw(st.sampled_from(GAPS)) if number else ""
            window = f"{document} section {number}."
            hits += [
                candidate(
                    f"{document}/{number}/{chunk}",
                    f"chunk {chunk}",
                    document_id=document,
                    heading_path=(str(number),),
                    window=window,
                    window_position=len(text),
                )
                for chunk in range(draw(st.integers(0, 2)))
            ]
            text += window
        texts[document] = text
    return texts, draw(st.permutations(hits))


@given(hits_of_documents())
def test_a_window_is_a_stretch_of_its_document(found: tuple[dict[str, str], list[Candidate]]) -> None:
    texts, hits = found
    for window in merged_windows(hits):
        assert texts[window.document_id][window.position :].startswith(window.text)


@given(hits_of_documents())
def test_every_hit_is_in_one_window_and_no_other_section_is(found: tuple[dict[str, str], list[Candidate]]) -> None:
    _, hits = found
    windows = merged_windows(hits)
    assert sorted(each for window in windows for each in window.chunk_ids) == sorted(hit.chunk_id for hit in hits)
    by_id = {hit.chunk_id: hit for hit in hits}
    for window in windows:
        sections = {by_id[each].window for each in window.chunk_ids}
        assert len(re.findall(r"section", window.text)) == len(sections)
        assert all(section in window.text for section in sections)
        [first] = {by_id[each].heading_path for each in window.chunk_ids if window.text.startswith(by_id[each].window)}
        assert window.heading_path == first


@given(hits_of_documents())
def test_windows_and_their_hits_are_best_first(found: tuple[dict[str, str], list[Candidate]]) -> None:
    _, hits = found
    rank = {hit.chunk_id: number for number, hit in enumerate(hits)}
    ranks = [[rank[each] for each in window.chunk_ids] for window in merged_windows(hits)]
    assert all(each == sorted(each) for each in ranks)
    assert ranks == sorted(ranks)


@given(hits_of_documents(), st.randoms())
def test_the_order_of_hits_changes_the_order_alone(found, random) -> None:
    _, hits = found
    shuffled = list(hits)
    random.shuffle(shuffled)
    texts = sorted((window.document_id, window.position, window.text) for window in merged_windows(hits))
    assert texts == sorted((window.document_id, window.position, window.text) for window in merged_windows(shuffled))


def test_neighbours_are_joined_and_a_heading_between_parts_them() -> None:
    one = candidate("1", window="First.", window_position=10, heading_path=("A",))
    two = candidate("2", window="Second.", window_position=18, heading_path=("B",))
    far = candidate("3", window="Third.", window_position=30, heading_path=("C", "D"))
    joined, alone = merged_windows([two, far, one])
    assert joined.text == "First.\n\nSecond."
    assert joined.chunk_ids == ("2", "1")
    assert (joined.position, joined.heading_path, joined.modified_at) == (10, ("A",), MOMENT)
    assert (alone.text, alone.chunk_ids) == ("Third.", ("3",))


def test_sections_of_two_documents_are_never_joined() -> None:
    one = candidate("1", window="First.", window_position=0)
    other = candidate("2", window="Second.", window_position=8, source="wiki")
    assert [window.text for window in merged_windows([other, one])] == ["Second.", "First."]


def test_text_that_two_windows_share_appears_once() -> None:
    one = candidate("1", window="One two", window_position=0)
    two = candidate("2", window="two three", window_position=4)
    inside = candidate("3", window="two", window_position=4)
    [window] = merged_windows([two, inside, one])
    assert window.text == "One two three"


def test_no_hits_no_windows() -> None:
    assert merged_windows([]) == ()
