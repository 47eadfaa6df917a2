"""Where to put borders in a row of pieces, so that groups fit a budget and an edit moves few borders.

A group ends where its surroundings say so, not where the budget happens to run out: among the borders that
fill at least half of the budget, the one of lowest rank is taken, and ranks are drawn from the text nearby.
After an edit the same ranks win again, so that borders fall back into step, even among a thousand rows of
equal size, where packing to the brim would move every border; and so much choice lets a group end where a topic
does. This is content-defined chunking by local extremes (Bjørner, Blass, Gurevich: Content-dependent chunking
for differential compression, the local maximum approach, 2010), with a budget in place of a horizon.
"""

from collections.abc import Sequence
from itertools import accumulate

Rank = tuple[int, float, bytes]
"""How weak the seam at a border is, how much its two sides belong together, and a hash that decides among equals."""

_LEAST_FILL = 0.5
_LEAST_REST = 0.3


def pack(
    costs: Sequence[int], openings: Sequence[int], ranks: Sequence[Rank], limit: int, joint: int = 0
) -> list[range]:
    """Group consecutive pieces; return the groups as ranges of indices, in order and without gaps.

    A group costs the sum of its pieces' `costs`, a `joint` between two, and the `openings` entry of its
    first piece; it stays within `limit` unless one piece alone does not. ``ranks[i]`` is the rank of the
    border before piece i, lower is better. No small rest is left at the end if a border can avoid it.
    """
    groups: list[range] = []
    ends = list(accumulate(cost + joint for cost in costs))
    start = 0
    while start < len(costs):
        before = ends[start] - costs[start] - openings[start]
        stop = start + 1
        while stop < len(costs) and ends[stop] - before <= limit:
            stop += 1
        if stop < len(costs):
            good = [
                border
                for border in range(start + 1, stop + 1)
                if ends[border - 1] - before >= _LEAST_FILL * limit
                and ends[-1] - ends[border - 1] >= _LEAST_REST * limit
            ]
            stop = min(good, key=lambda border: ranks[border], default=stop)
        groups.append(range(start, stop))
        start = stop
    return groups
