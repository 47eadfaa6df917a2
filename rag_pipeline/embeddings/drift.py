"""Whether a service still has the model that it had: told by the vector of one text, and by what it calls itself."""

from collections.abc import Sequence

import numpy as np

from rag_pipeline.embeddings import Sample
from rag_pipeline.errors import PermanentError

SAME_MODEL = 0.99
"""Cosine below which two vectors of one text are of two models; services vary by less than a thousandth."""


def difference(before: Sample, now: Sample) -> str | None:
    """Return what tells two models apart, or None for one and the same."""
    if before.answered_as != now.answered_as:
        return f"it calls its model {now.answered_as[:80]!r} and no longer {before.answered_as[:80]!r}"
    if before.vector.shape != now.vector.shape:
        return f"its vectors have {now.vector.size} numbers and no longer {before.vector.size}"
    if (cosine := float(np.dot(before.vector, now.vector))) < SAME_MODEL:
        return f"of one text it gives another vector than before (cosine {cosine:.3f})"
    return None


def kept_sample(numbers: Sequence[float], answered_as: str) -> Sample:
    """Return a sample as it was kept, in half precision, with length 1 again."""
    vector = np.asarray(numbers, np.float32)
    return Sample((vector / np.linalg.norm(vector)).astype(np.float32), answered_as, 0)


def model_changed(model: str, what: str, consequence: str = "Nothing of it was kept") -> PermanentError:
    """Return the error that stops a run or a search, so that vectors of two models never meet."""
    return PermanentError(
        f"the service behind {model} has another model now: {what}. {consequence}. If it is meant, name it: "
        "set [embedding] revision to a new word, and build the index anew beside the old one: rag-pipeline migrate plan"
    )
