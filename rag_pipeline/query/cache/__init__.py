"""The cache of answers: what a model wrote is kept for those who ask the same of the same passages.

An answer is found again only by everything that it was made from (see `cache_key`), and only its words and what
they cost are kept: citations are checked anew against the passages of the call that finds it. It is sealed with a
secret of the database, so that whoever may only write to the cache makes no answer. The cache is never in the way:
what is slow, gone, full, damaged or of another shape is a miss, and a cache that does not answer is left alone for a
while. Importing this package is quick: the client is loaded when ``RAG_REDIS_URL`` is set.
"""

from rag_pipeline.query.cache.counts import Counts
from rag_pipeline.query.cache.kept import KeptAnswers
from rag_pipeline.query.cache.key import cache_key
from rag_pipeline.query.cache.redis_cache import AnswerCache, is_named, open_cache
from rag_pipeline.query.cache.turns import Turn, Turns
from rag_pipeline.query.cache.value import CachedAnswer

__all__ = [
    "AnswerCache",
    "CachedAnswer",
    "Counts",
    "KeptAnswers",
    "Turn",
    "Turns",
    "cache_key",
    "is_named",
    "open_cache",
]
