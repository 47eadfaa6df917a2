"""What families of embedding models are trained to read before a question and before a passage.

Without its prefixes such a model still gives vectors, only worse ones, so they are not left to the user's memory.
A model that is not here gets none, and so does bge-small-en-v1.5, which was measured a little better without.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prefixes:
    """Text put before every question, and before every passage."""

    query: str = ""
    passage: str = ""


_SEARCHING = Prefixes("Represent this sentence for searching relevant passages: ")
_FAMILIES = (
    (r"(intfloat/)?(multilingual-)?e5-(small|base|large)(-v2)?", Prefixes("query: ", "passage: ")),
    (r"nomic-ai/nomic-embed-text-v1(\.5)?(-q)?", Prefixes("search_query: ", "search_document: ")),
    (r"snowflake/snowflake-arctic-embed-(xs|s|m|m-long|m-v1\.5|l)", _SEARCHING),
    (r"snowflake/snowflake-arctic-embed-[ml]-v2\.0", Prefixes("query: ")),
    (r"mixedbread-ai/mxbai-embed-(xsmall|large)-v1", _SEARCHING),
    (r"baai/bge-(small|base|large)-en", _SEARCHING),
    (r"google/embeddinggemma-300m", Prefixes("task: search result | query: ", "title: none | text: ")),
    (
        r"qwen/qwen3-embedding-[\d.]+b(-q)?",
        Prefixes(
            "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:",
        ),
    ),
)


def known_prefixes(model: str) -> Prefixes:
    """Return the prefixes that the model of this name is trained with; none for a name that is not known."""
    for pattern, prefixes in _FAMILIES:
        if re.fullmatch(pattern, model, re.IGNORECASE):
            return prefixes
    return Prefixes()
