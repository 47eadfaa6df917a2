"""Windows: the hits' sections, to be read as a whole; neighbours that both hit become one stretch of text.

Nothing is fetched: a window consists of text that came with the hits, and the caller may therefore read it.
"""

from collections.abc import Iterator, Sequence

from rag_pipeline.query.hits import Candidate, Window

_LARGEST_GAP = 4
"""Two sections this many characters apart, or fewer, have only white space between them: a heading without text
of its own, which belongs to no section, takes more with its mark and the line ends around it."""


def merged_windows(hits: Sequence[Candidate]) -> tuple[Window, ...]:
    """Return the hits' windows, that of the best hit first; no text appears twice.

    `hits` are in the order of their rank. Hits of one section share a window. Sections that follow one another
    in a document, with nothing but white space between, are joined; that space is written as line ends, so
    that offsets in the text remain offsets in the document.
    """
    documents: dict[tuple[str, str], list[int]] = {}
    for rank, hit in enumerate(hits):
        documents.setdefault((hit.source, hit.document_id), []).append(rank)
    found: list[tuple[int, Window]] = []
    for ranks in documents.values():
        ranks.sort(key=lambda rank: (hits[rank].window_position, rank))
        for first, text, members in _stretches(hits, ranks):
            found.append((min(members), _window(hits, first, text, members)))
    return tuple(window for _, window in sorted(found, key=lambda each: each[0]))


def _stretches(hits: Sequence[Candidate], ranks: list[int]) -> Iterator[tuple[int, str, list[int]]]:
    """Yield the first hit, the text and all hits of each stretch of one document; `ranks` are in its order."""
    first, text, members = ranks[0], hits[ranks[0]].window, [ranks[0]]
    for rank in ranks[1:]:
        gap = hits[rank].window_position - hits[first].window_position - len(text)
        if gap > _LARGEST_GAP:
            yield first, text, members
            first, text, members = rank, hits[rank].window, [rank]
        else:
            text += "\n" * gap + hits[rank].window[max(-gap, 0) :]
            members.append(rank)
    yield first, text, members


def _window(hits: Sequence[Candidate], first: int, text: str, members: list[int]) -> Window:
    opening = hits[first]
    return Window(
        chunk_ids=tuple(hits[rank].chunk_id for rank in sorted(members)),
        document_id=opening.document_id,
        source=opening.source,
        uri=opening.uri,
        title=opening.title,
        heading_path=opening.heading_path,
        text=text,
        position=opening.window_position,
        modified_at=opening.modified_at,
    )
