"""How sure a difference of two means is, when both were measured on the same questions."""

from collections.abc import Sequence

import numpy as np

_RESAMPLES = 10_000
_SEED = 20240703


def interval(differences: Sequence[float], resamples: int = _RESAMPLES) -> tuple[float, float]:
    """Return the 95 % interval of the mean of paired differences, by the percentile bootstrap over questions."""
    values = np.asarray(differences)
    drawn = np.random.default_rng(_SEED).integers(len(values), size=(resamples, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)
