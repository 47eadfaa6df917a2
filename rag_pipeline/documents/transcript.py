"""Transcripts become utterances: a paragraph for what one speaker says in one go, with who and when as its place.

Promises: the text of every cue and turn is kept, whole, in the order of the file; times and speakers survive in
`Block.place`; a speaker's name stands in the text where a turn begins. A file without cues is its text.
"""

from rag_pipeline.documents.canonical import canonical
from rag_pipeline.documents.transcript_cues import Captions, read_srt, read_vtt
from rag_pipeline.documents.transcript_speech import remarks, write
from rag_pipeline.documents.transcript_turns import looks_like_turns, read_turns
from rag_pipeline.documents.writer import Writer
from rag_pipeline.model import Document

__all__ = ["looks_like_turns", "parse_srt", "parse_turns", "parse_vtt"]


def parse_vtt(data: bytes) -> Document:
    """Parse WebVTT, with or without its header. Raises `DocumentError` for what is no text."""
    return _captions(read_vtt(canonical(data)))


def parse_srt(data: bytes) -> Document:
    """Parse SubRip. Raises `DocumentError` for what is no text."""
    return _captions(read_srt(canonical(data)))


def parse_turns(data: bytes) -> Document:
    """Parse ``Speaker: text``, turn by turn. Raises `DocumentError` for what is no text."""
    writer = Writer()
    write(writer, read_turns(canonical(data)))
    return writer.document()


def _captions(captions: Captions) -> Document:
    writer = Writer()
    write(writer, remarks(captions.cues))
    return writer.document(captions.title, captions.declared)
