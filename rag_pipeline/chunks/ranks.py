"""Which borders between pieces are good ones: by the seam, by what the texts around it have in common, by chance.

The chance is a hash of the piece that follows, so that it is the same in every place and after every edit.
"""

from collections.abc import Sequence, Set
from hashlib import blake2b
from itertools import pairwise

from rag_pipeline.chunks.cohesion import cohesions
from rag_pipeline.chunks.cut import Piece
from rag_pipeline.chunks.pack import Rank
from rag_pipeline.model import Block, BlockKind

_CLINGS = 2.0
"""The likeness of a block to the one before it that it should stay with: above that of any texts."""


def clings(text: str, previous: Block, block: Block) -> bool:
    """Whether a block should stay with the one before it: on request, after a colon, as an item below an item."""
    return (
        block.clings
        or text[previous.end - 1] == ":"
        or (previous.kind is block.kind is BlockKind.LIST_ITEM and block.level > previous.level)
    )


def ranked(text: str, pieces: Sequence[Piece], clinging: Set[int], budget: int) -> list[Rank]:
    """Return the rank of the border before each piece of one section; `clinging` are pieces that should have none.

    Texts are compared only where the section exceeds the `budget`: what fits needs no border.
    """
    alike = [0.0] * len(pieces)
    if sum(piece.cost for piece in pieces) > budget:
        first = pieces[0].start
        borders = [(one.end - first, other.start - first) for one, other in pairwise(pieces)]
        alike[1:] = cohesions(text[first : pieces[-1].end], borders)
    return [
        (
            piece.depth,
            _CLINGS if index in clinging else alike[index],
            blake2b(text[piece.start : piece.end].encode(), digest_size=8).digest(),
        )
        for index, piece in enumerate(pieces)
    ]
