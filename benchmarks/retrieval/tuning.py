"""What the weights are chosen by: ways to fuse, tried on questions that no other figure is measured with.

The exact scores of every chunk are read once for all questions; then every way to fuse is tried on the
candidates that both searches would bring. What wins here is what the defaults ought to be.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.retrieval.indexed import Indexed
from benchmarks.retrieval.judged import Question
from benchmarks.retrieval.scoring import Rankings, by_best_chunk

Array = NDArray[np.floating[Any]]

WEIGHTS = (0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.8, 0.9)
CANDIDATES = (50, 100, 200)
_DOCUMENTS = 10


class Pool(NamedTuple):
    """The candidates of a question, as indices of chunks in order, and what each search gives to each of them.

    A rank counts from 0; beyond the search's own list it is infinite.
    """

    chunks: NDArray[np.intp]
    nearness: Array
    relevance: Array
    near_rank: Array
    word_rank: Array


@dataclass(frozen=True, slots=True)
class ExactScores:
    """Scores of all chunks (columns) for questions (rows), by meaning and by words; the document of each chunk."""

    questions: Sequence[Question]
    documents: list[str]
    nearness: Array
    relevance: Array

    @classmethod
    def read(cls, index: Indexed, questions: Sequence[Question]) -> "ExactScores":
        """Compute the inner products, those of the words in the database, as it does for a search."""
        rows = index.owner.execute(
            "select chunk_key, document_id, embedding from chunk_vectors join documents using (doc_key) order by 1"
        ).fetchall()
        places = {key: place for place, (key, _, _) in enumerate(rows)}
        vectors = np.stack([vector.to_numpy().astype(np.float32) for _, _, vector in rows])
        asked = np.stack([index.embedder.embed_query(question.text) for question in questions])
        nearness = asked.astype(np.float16).astype(np.float32) @ vectors.T
        relevance = np.zeros_like(nearness)
        for row, question in enumerate(questions):
            for key, score in index.owner.execute(_RELEVANCE, {"question": question.text}):
                relevance[row, places[key]] = score
        return cls(questions, [index.files[document] for _, document, _ in rows], nearness, relevance)

    def pools(self, candidates: int) -> list[Pool]:
        """Return of each question the union of what both searches bring."""
        pools: list[Pool] = []
        for nearness, relevance in zip(self.nearness, self.relevance, strict=True):
            near, worded = _best(nearness, candidates), _best(relevance, candidates)
            worded = worded[relevance[worded] > 0]
            chunks = np.union1d(near, worded)
            ranks = np.full((2, len(chunks)), np.inf, np.float32)
            for row, found in enumerate((near, worded)):
                ranks[row, np.searchsorted(chunks, found)] = np.arange(len(found))
            pools.append(Pool(chunks, nearness[chunks], relevance[chunks], ranks[0], ranks[1]))
        return pools

    def ranked(self, pools: Sequence[Pool], fusion: "Fusion", weight: float) -> Rankings:
        """Return the first documents of each question, by the fused scores of their best chunks."""
        rankings: dict[str, Sequence[str]] = {}
        for question, pool in zip(self.questions, pools, strict=True):
            order = pool.chunks[np.argsort(-fusion(pool, weight), kind="stable")].tolist()
            rankings[question.id] = by_best_chunk(self.documents[chunk] for chunk in order)[:_DOCUMENTS]
        return rankings


Fusion = Callable[[Pool, float], Array]
"""Gives each candidate a score; the weight is that of the vector search."""


def _spread(scores: Array, floor: float) -> Array:
    """Bring scores to the range from 0, for the floor, to 1, for the best."""
    span = float(scores.max()) - floor
    return (scores - floor) / span if span > 0 else np.zeros_like(scores)


def _standard(scores: Array) -> Array:
    deviation = float(scores.std())
    return (scores - scores.mean()) / deviation if deviation > 0 else np.zeros_like(scores)


def _min_max(pool: Pool, weight: float) -> Array:
    nearness, relevance = (_spread(scores, float(scores.min())) for scores in (pool.nearness, pool.relevance))
    return weight * nearness + (1 - weight) * relevance


def _theoretical(pool: Pool, weight: float) -> Array:
    """Vectors of unit length are at worst opposite to each other, and no word in common is worth nothing."""
    return weight * _spread(pool.nearness, -1) + (1 - weight) * _spread(pool.relevance, 0)


def _z(pool: Pool, weight: float) -> Array:
    return weight * _standard(pool.nearness) + (1 - weight) * _standard(pool.relevance)


def _reciprocal_rank(pool: Pool, weight: float) -> Array:
    return weight / (61 + pool.near_rank) + (1 - weight) / (61 + pool.word_rank)


FUSIONS: Mapping[str, Fusion] = {
    "convex, z-scores": _z,
    "convex, from the least to the best candidate": _min_max,
    "convex, from the least possible to the best": _theoretical,
    "reciprocal rank": _reciprocal_rank,
}

_RELEVANCE = """
    with asked as (
        select rarities
        from rag.keyword_candidates(
            %(question)s, array(select distinct language from documents), array(select acl_id from rag.access_lists),
            null, null, (select chunks from keyword_state), 1
        )
    )
    select chunk_key, -(weights <#> rarities) from chunk_terms cross join asked where weights <#> rarities < 0
"""
"""Scores by words of all chunks that have one: those of the search itself, for all."""


def _best(scores: Array, count: int) -> NDArray[np.intp]:
    """Return the indices of the best scores, best first."""
    if count < len(scores):
        found = np.argpartition(-scores, count)[:count]
        return found[np.argsort(-scores[found], kind="stable")]
    return np.argsort(-scores, kind="stable")
