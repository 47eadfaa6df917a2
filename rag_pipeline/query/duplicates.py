"""Near-duplicates: of several chunks that say nearly the same, the best one stays and names the others.

Chunks are compared by the shingle hashes that are stored with them (see `rag_pipeline.chunks.shingles`):
the likeness of two is the number of hashes that both have, divided by the number that either has. All
candidates are ones that the caller may read, so that a chunk is never hidden behind one that he may not see.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rag_pipeline.query.hits import Candidate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BYTES = 4
"""Bytes of one shingle hash, an unsigned number, little endian."""


def similarities(sets: Sequence[bytes]) -> "NDArray[np.float64]":
    """Return the likeness of each chunk, by its shingles, to each one before it (row to column); the rest is 0.

    It goes from 0, nothing in common, to 1, the same; without shingles there is nothing in common.

    Most hashes belong to one chunk alone and cannot make two alike, so they are set aside first. Then each
    chunk marks its hashes, and those before it count their marks.
    """
    import numpy as np

    sizes = np.array([len(each) // _BYTES for each in sets], dtype=np.int64)
    found = np.zeros((len(sets), len(sets)))
    hashes = np.frombuffer(b"".join(sets), dtype="<u4")
    owners = np.repeat(np.arange(len(sets)), sizes)
    _, names, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    shared = counts[names] > 1
    names, owners = names[shared], owners[shared]
    borders = np.searchsorted(owners, np.arange(len(sets) + 1))
    marked = np.zeros(len(counts), dtype=bool)
    for index in range(1, len(sets)):
        start, end = borders[index], borders[index + 1]
        if start == end:
            continue
        marked[names[start:end]] = True
        common = np.bincount(owners[:start][marked[names[:start]]], minlength=index)
        found[index, :index] = common / (sizes[:index] + sizes[index] - common)
        marked[names[start:end]] = False
    return found


def without_duplicates(
    candidates: Sequence[Candidate], threshold: float
) -> tuple[tuple[Candidate, ...], dict[str, tuple[str, ...]]]:
    """Return the survivors in their order, and the chunk_ids of the twins of each survivor that has some.

    A candidate falls when its likeness to a better one that has survived is at least `threshold`; it is then
    a twin of the survivor that it is most like. Equal texts are wholly alike. Those that fell take nobody
    with them: a chain of small differences does not make its ends twins.
    """
    survivors: list[int] = []
    by_text: dict[str, int] = {}
    twins: dict[str, list[str]] = {}
    likeness = similarities([candidate.shingles for candidate in candidates])
    for index, candidate in enumerate(candidates):
        best = by_text.get(candidate.text)
        if best is None and survivors:
            nearest = survivors[int(likeness[index, survivors].argmax())]
            best = nearest if likeness[index, nearest] >= threshold else None
        if best is None:
            survivors.append(index)
            by_text[candidate.text] = index
        else:
            twins.setdefault(candidates[best].chunk_id, []).append(candidate.chunk_id)
    return (
        tuple(candidates[index] for index in survivors),
        {survivor: tuple(fallen) for survivor, fallen in twins.items()},
    )


def reasons(twins: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Return, for each chunk that fell, the words that say why."""
    return {twin: f"near-duplicate of {survivor}" for survivor, fallen in twins.items() for twin in fallen}
