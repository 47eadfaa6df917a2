"""What a search is worth: the hits of a question against what ought to be found.

A hit that lies in something expected stands for it, as does one for which a near-duplicate was left out that lies
there; further hits there neither help nor harm; every other hit takes up its place. So the metrics are those of what a
caller reads from the top, be it documents or sections that are expected.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from rag_pipeline.evaluation.golden import Expected, Question
from rag_pipeline.evaluation.results import RETRIEVAL
from rag_pipeline.evaluation.scoring import score
from rag_pipeline.query import Citation, Hit
from rag_pipeline.query.hits import Found
from rag_pipeline.query.passage import Passage

DEPTH = 10
"""Hits that are asked for and scored."""
_MEASURES = dict(zip(("R@10", "RR@10", "nDCG@10"), RETRIEVAL, strict=True))


def with_twins(
    expected: Sequence[Expected], hits: Sequence[Hit], look_up: Callable[[str], Passage | None]
) -> list[tuple[Found, ...]]:
    """Return each hit, and behind it those of its twins that lie in something expected in which no hit does.

    `look_up` gives a chunk in its document.
    """
    missing = [place for place in expected if not any(_lies_in(hit, place) for hit in hits)]
    return [(hit, *_twins_in(missing, hit, look_up)) if missing else (hit,) for hit in hits]


def _twins_in(places: Sequence[Expected], hit: Hit, look_up: Callable[[str], Passage | None]) -> Iterator[Found]:
    for chunk_id in hit.twins:
        if (passage := look_up(chunk_id)) is None:
            continue
        path = next((section.heading_path for section in passage.sections if section.hit), ())
        twin = replace(
            hit, chunk_id=chunk_id, source=passage.source, document_id=passage.document_id, heading_path=path
        )
        if any(_lies_in(twin, place) for place in places):
            yield twin


def counting(expected: Sequence[Expected], hits: Sequence[tuple[Found, ...]]) -> list[Found]:
    """Return what is scored of hits and their twins; where a twin counts, a hit that meets nothing does not."""
    return [
        each
        for alike in hits
        for each in (alike[1:] if alike[1:] and not any(_lies_in(alike[0], place) for place in expected) else alike)
    ]


def score_hits(questions: Sequence[Question], hits: Mapping[str, Sequence[Found]]) -> dict[str, dict[str, float]]:
    """Return of each question that expects something the retrieval metrics, by its id; without hits they are 0."""
    judged = {each.id: [str(place) for place in each.expected] for each in questions if each.expected}
    if not judged:
        return {}
    rankings = {each.id: ranking(each.expected, hits.get(each.id, ())) for each in questions if each.expected}
    scores = score(judged, rankings, tuple(_MEASURES))
    return {
        id: {name: scores.values[measure][number] for measure, name in _MEASURES.items()}
        for number, id in enumerate(judged)
    }


def ranking(expected: Sequence[Expected], hits: Sequence[Found]) -> list[str]:
    """Return what the hits stand for, in order: a place for its first hit, nothing for its others, else the chunk."""
    missing = list(expected)
    found: list[str] = []
    for hit in hits:
        met = [place for place in expected if _lies_in(hit, place)]
        new = next((place for place in met if place in missing), None)
        if new is not None:
            missing.remove(new)
            found.append(str(new))
        elif not met:
            found.append(f"chunk {hit.chunk_id}")
    return found


def ranks(expected: Sequence[Expected], hits: Sequence[tuple[Found, ...]]) -> tuple[int | None, ...]:
    """Return at which hit, from 1, or at whose twin, each place is first met; None: at none."""
    return tuple(
        next((rank for rank, alike in enumerate(hits, 1) if any(_lies_in(each, place) for each in alike)), None)
        for place in expected
    )


def place_of(hit: Found | Citation) -> str:
    """Return where a hit or a citation lies, as people read it."""
    return str(Expected(hit.source, hit.document_id, hit.heading_path))


def _lies_in(hit: Found, place: Expected) -> bool:
    return place.is_met_by(hit.source, hit.document_id, hit.heading_path)
