"""Re-ranking: a cross-encoder reads question and passage together, and has a say in the order.

Its relevance is added to the fused score with a weight, so that a model that errs here and there cannot throw
away what both searches agree on. Re-ranking never loses a candidate, never adds one and never fails a search:
without an answer in time the fused order stands, and a note says so.
"""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from rag_pipeline.errors import RagError
from rag_pipeline.model import names_above, under
from rag_pipeline.query.hits import Candidate

if TYPE_CHECKING:
    from rag_pipeline.settings.sections import Retrieval

_logger = logging.getLogger(__name__)

_FUSED_ORDER = "the order is that of the fused search"


class Reranker(Protocol):
    """Judges how well texts answer a question. Any number of threads may ask at once."""

    def scores(self, question: str, texts: Sequence[str], seconds: float) -> list[float]:
        """Return one relevance a text, in order, from 0, none, to 1.

        Raises `TimeoutError` after `seconds`, and a `RagError` that says what is wrong when there is no answer.
        """
        ...


def open_reranker(settings: "Retrieval") -> Reranker:
    """Return the re-ranker of the settings. Nothing is loaded or contacted before the first question.

    Raises `ConfigurationError` when the address or the key of a service cannot be one.
    """
    if settings.rerank_url is not None:
        from rag_pipeline.query.rerank_service import ServiceReranker

        return ServiceReranker(settings.rerank_url, settings.rerank_model, settings.rerank_key_env)
    from rag_pipeline.query.rerank_local import LocalReranker

    return LocalReranker(settings.rerank_model)


def reranked(
    question: str, candidates: Sequence[Candidate], reranker: Reranker, weight: float, depth: int, seconds: float
) -> tuple[list[Candidate], dict[str, int], str | None]:
    """Return the candidates in their new order, the re-ranker's own rank of those that it read, and a note.

    The first `depth` candidates are read, within `seconds`. Ranks count from 1 and are by chunk_id; there are
    none when the fused order stands. The note, in words for the caller, is None when all went well.
    """
    first = candidates[:depth]
    if not first:
        return list(candidates), {}, None
    try:
        scores = reranker.scores(question, [passage_text(candidate) for candidate in first], seconds)
    except TimeoutError:
        return list(candidates), {}, f"re-ranking took longer than {seconds:g} s; {_FUSED_ORDER}"
    except RagError as error:
        # What is wrong with a model or a service is not the caller's to know.
        _logger.warning("re-ranking failed: %s", error)
        return list(candidates), {}, f"re-ranking failed; {_FUSED_ORDER}"
    except Exception:  # a search must not fail because a model or a library does
        _logger.warning("re-ranking failed", exc_info=True)
        return list(candidates), {}, f"re-ranking failed; {_FUSED_ORDER}"
    best = sorted(range(len(first)), key=lambda index: -scores[index])
    ranks = {first[index].chunk_id: rank for rank, index in enumerate(best, 1)}
    return blended(candidates, scores, weight), ranks, None


def blended(candidates: Sequence[Candidate], scores: Sequence[float], weight: float) -> list[Candidate]:
    """Return the candidates, best first, when the first of them, one for each of `scores`, are judged anew.

    They are ordered by fused score, brought to between 0 and 1 over all candidates, plus `weight` times
    relevance; equals keep their order. The candidates without a score follow in their order.
    """
    fused = [candidate.score for candidate in candidates]
    low = min(fused, default=0.0)
    span = max(fused, default=0.0) - low or 1.0
    totals = [(fused[index] - low) / span + weight * score for index, score in enumerate(scores)]
    order = sorted(range(len(scores)), key=lambda index: -totals[index])
    return [*(candidates[index] for index in order), *candidates[len(scores) :]]


def passage_text(candidate: Candidate) -> str:
    """Return what the re-ranker reads of a candidate: title > heading path, a line end, and its text."""
    return under(names_above(candidate.title, candidate.heading_path), candidate.text)
