"""What is asked: search, and answers from what it finds, for those who may read.

There is no way to a chunk without a `Caller`, and permissions are applied inside the database, before
anything is ranked. Every answer is read from one snapshot of the index and says how old that is.
Importing this package is quick: models and settings are loaded when an `Index` first needs them.
"""

from rag_pipeline.query.answer import NOT_KNOWN, Answer, Citation
from rag_pipeline.query.hits import Explanation, Hit, Hits, Layer, Trace, Window
from rag_pipeline.query.passage import Passage, Section
from rag_pipeline.query.question import Caller, Filters
from rag_pipeline.query.search import Index

__all__ = [
    "NOT_KNOWN",
    "Answer",
    "Caller",
    "Citation",
    "Explanation",
    "Filters",
    "Hit",
    "Hits",
    "Index",
    "Layer",
    "Passage",
    "Section",
    "Trace",
    "Window",
]
