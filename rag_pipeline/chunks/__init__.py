"""What is searched: the block tree becomes sections (windows for the model) of chunks (for search).

Promises: the same document, tokenizer and budgets give the same sections and chunks, everywhere. Sections are
in order and do not overlap. No text is lost: a heading without text of its own that sub-headings follow lives
on in their heading paths, any other heading opens a section, and every other block lies in exactly one chunk,
or, if it alone exceeds the budget, in several that are marked as forced. An edit changes chunks of its own
section only; nothing depends on absolute positions, document ids or paths.
"""

from rag_pipeline.chunks.sections import CHUNKER_VERSION, split

__all__ = ["CHUNKER_VERSION", "split"]
