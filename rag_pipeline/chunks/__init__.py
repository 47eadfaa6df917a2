"""What is searched: the block tree becomes sections (windows for the model) of chunks (for search).

Promises: chunks and sections are the same for the same document, tokenizer and budgets, everywhere. Sections
are in order and do not overlap; together with the heading paths they hold every block: a heading without
text of its own whose sub-headings follow lives on in their paths, every other block in exactly one section,
and there in exactly one chunk, save the heading that opens the section and is in each chunk's `embed_text`.
An edit changes chunks of its own section only; nothing depends on absolute positions, ids or paths.
"""

from rag_pipeline.chunks.sections import CHUNKER_VERSION, split

__all__ = ["CHUNKER_VERSION", "split"]
