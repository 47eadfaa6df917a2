"""How sure a difference of two means is, when both were measured on the same questions."""

from collections.abc import Sequence

import numpy as np

_RESAMPLES = 10_000
_SEED = 20240703
_DRAWN_AT_ONCE = 1_000_000


def interval(differences: Sequence[float], resamples: int = _RESAMPLES) -> tuple[float, float]:
    """Return the 95 % interval of the mean of paired differences, by the percentile bootstrap over questions."""
    values = np.asarray(differences)
    random = np.random.default_rng(_SEED)
    # A few at a time, so that a large golden set does not fill the memory.
    rows = max(1, _DRAWN_AT_ONCE // len(values))
    means = [
        values[random.integers(len(values), size=(min(rows, resamples - begun), len(values)))].mean(axis=1)
        for begun in range(0, resamples, rows)
    ]
    low, high = np.percentile(np.concatenate(means), (2.5, 97.5))
    return float(low), float(high)
