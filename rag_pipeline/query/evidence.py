"""Evidence: how well what a search found speaks to its question, so that a weak find is not answered from.

The fused score cannot say that: it is relative to the candidates of one search, the best of which is good by
definition. Two other figures do not depend on them, and are of chunks that the caller may read alone.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Evidence:
    """`nearness` is the cosine between the question and the nearest chunk; None: there is none.

    `coverage` is the largest share of the question's words, stop words apart, that one of the first ten chunks of
    either search has, title and headings included, from 0 to 1; None: the question has no words, or nothing was found.
    `is_measured`: the cosines are of the model with which the default bound of the settings was measured.
    """

    nearness: float | None = None
    coverage: float | None = None
    is_measured: bool = True

    @property
    def score(self) -> float:
        """Both in one figure; 0 where nothing was found."""
        return (self.nearness or 0.0) + _COVERAGE_WEIGHT * (self.coverage or 0.0)


_COVERAGE_WEIGHT = 0.2
NO_EVIDENCE = Evidence()
