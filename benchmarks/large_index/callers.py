"""Who may read which page: callers who may read a share of the index, at random or of one topic.

Every page is also open to one of many teams, so that the index has thousands of distinct access lists.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SHARES = (50, 5, 0.5, 0.05)
_TEAMS = 300
_SEED = 8

EVERYTHING = "group:everything"
"""On every list."""

NOBODY = "group:nobody"
"""A principal on no list."""

ONE_PAGE = "group:one-page"
"""May read a single page, of fewer chunks than are asked for."""


@dataclass(frozen=True, slots=True)
class Audience:
    """A caller: whoever is in `group` may read `percent` of the pages, chosen ``at random`` or ``by topic``."""

    group: str
    percent: float
    kind: str

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.percent:g} % {self.kind}"

    @property
    def column(self) -> str:
        """What a column or a metadata field that says who is admitted is called."""
        return self.group.removeprefix("group:").replace("-", "_").replace(".", "_")


AUDIENCES = tuple(
    Audience(f"group:{kind.split()[-1]}-{percent:g}", percent, kind)
    for kind in ("at random", "by topic")
    for percent in _SHARES
)


def access_lists(topics: NDArray[np.float32]) -> list[list[str]]:
    """Return for each page the principals who may read it; `topics` is a unit vector a page.

    A topic is what is nearest to one page, so that the callers by topic read a part of the space each, one
    inside the other.
    """
    generator = np.random.default_rng(_SEED)
    pages = len(topics)
    lists = [[EVERYTHING, f"group:team-{page % _TEAMS}"] for page in range(pages)]
    lists[pages // 2].append(ONE_PAGE)
    nearest = np.argsort(-(topics @ topics[generator.integers(pages)]), kind="stable")
    for audience in AUDIENCES:
        order = generator.permutation(pages) if audience.kind == "at random" else nearest
        for page in order[: max(1, round(audience.percent / 100 * pages))].tolist():
            lists[page].append(audience.group)
    return lists
