"""How a document travels from a parser process to its parent, who believes nothing that it is told.

A message is a head, the text as UTF-8 and the rest as JSON. `decode` gives a `Document` that keeps every law of
blocks, or raises `BrokenMessage`: a document that takes its parser over can at most change what it says itself.
"""

import json
from collections.abc import Iterator
from itertools import chain
from math import isfinite
from operator import lt
from struct import Struct
from typing import Any, NoReturn

from rag_pipeline.documents.canonical import clean
from rag_pipeline.model import Block, BlockKind, Document, Place

REQUEST = Struct(">HQ")
"""Head of a request: length of the media type in ASCII, and of the document, which follow in this order."""
ANSWER = Struct(">BBQQ")
"""Head of an answer: what it is (`DOCUMENT`, `REFUSAL`), whether the process ends now, lengths of text and JSON."""
READY = b"\x06"
"""What a process says once, when it is able to parse."""
DOCUMENT, REFUSAL = 1, 2

_KINDS = tuple(BlockKind)


class BrokenMessage(ValueError):
    """What was received is no lawful document; the text says which law it breaks."""


def encode(document: Document) -> tuple[bytes, bytes]:
    """Return a document's text as UTF-8, and the rest of it as JSON.

    Raises `ValueError` or `TypeError` for what neither can hold.
    """
    rest = {
        "title": document.title,
        "metadata": dict(document.metadata),
        "blocks": [_row(block) for block in document.blocks],
    }
    return document.text.encode(), json.dumps(rest, separators=(",", ":"), allow_nan=False).encode()


def _row(block: Block) -> list[Any]:
    row: list[Any] = [_KINDS.index(block.kind), block.start, block.end, block.level, block.title]
    if block.header_end is not None or block.seams or block.clings or block.place:
        row += [block.header_end, block.seams, block.clings, block.place and block.place.as_json()]
    return row


def decode(text: bytes, rest: bytes) -> Document:
    """Return the document that `encode` wrote. Raises `BrokenMessage` for anything else."""
    try:
        content = text.decode()
        values = json.loads(rest, parse_constant=_refuse)
        blocks = tuple(_block(*row) for row in values["blocks"])
        title, metadata = values["title"], values["metadata"]
    except BrokenMessage:
        raise
    except (ValueError, TypeError, AttributeError, LookupError, OverflowError, RecursionError) as error:
        raise BrokenMessage(f"unreadable ({type(error).__name__}: {str(error)[:100]})") from error
    _require(clean(content) == content, "its text is not canonical")
    _require(_is_text(title), "its title is not canonical text")
    _require(isinstance(metadata, dict), "its metadata are no mapping")
    for law in _broken_laws(content, blocks):
        raise BrokenMessage(law)
    return Document(content, blocks, title, metadata)


def _broken_laws(text: str, blocks: tuple[Block, ...]) -> Iterator[str]:
    covered = 0
    for block in blocks:
        if not covered <= block.start <= block.end <= len(text):
            yield "its blocks overlap or leave the text"
        content = text[block.start : block.end]
        if text[covered : block.start].strip():
            yield "it has text outside its blocks"
        if content != content.rstrip() or not (content or block.kind is BlockKind.HEADING):
            yield "one of its blocks is blank or ends in white space"
        if block.kind is BlockKind.HEADING and not 1 <= block.level <= 6:
            yield "the level of a heading is not from 1 to 6"
        if block.header_end is not None and not (
            block.kind is BlockKind.TABLE and block.start < block.header_end <= block.end
        ):
            yield "the header of a table ends outside the table"
        for seams in block.seams:
            if seams and not (block.start < seams[0] and seams[-1] < block.end and all(map(lt, seams, seams[1:]))):
                yield "the seams of a block are out of order or outside it"
        covered = block.end
    if text[covered:].strip():
        yield "it has text after its last block"


def _block(
    kind: int,
    start: int,
    end: int,
    level: int,
    title: str,
    header_end: int | None = None,
    seams: Any = (),
    clings: bool = False,
    place: Any = None,
) -> Block:
    cuts = tuple(tuple(offsets) for offsets in seams)
    numbers = (kind, start, end, level, 0 if header_end is None else header_end, *chain.from_iterable(cuts))
    _require(all(map(_is_whole, numbers)) and 0 <= kind < len(_KINDS), "a block is not where numbers say")
    _require(_is_text(title) and "\n" not in title, "a heading is not a line of canonical text")
    _require(isinstance(clings, bool), "a block neither clings nor stands alone")
    return Block(_KINDS[kind], start, end, level, title, header_end, cuts, clings, _place(place))


def _place(values: Any) -> Place | None:
    if values is None:
        return None
    pairs = [values.get(name) for name in ("pages", "lines", "seconds")]
    pages, lines, seconds = (None if pair is None else (pair[0], pair[1]) for pair in pairs)
    _require(all(map(_is_whole, (pages or ()) + (lines or ()))), "a page or a line is not a whole number")
    _require(all(_is_whole(value) or _is_time(value) for value in seconds or ()), "a time is no number")
    speakers, symbol = values.get("speakers", []), values.get("symbol", "")
    _require(isinstance(speakers, list) and all(map(_is_text, (*speakers, symbol))), "a name is not canonical text")
    return Place(pages, lines, seconds, tuple(speakers), symbol)


def _is_whole(value: Any) -> bool:
    return type(value) is int


def _is_time(value: Any) -> bool:
    return isinstance(value, float) and isfinite(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and clean(value) == value


def _require(holds: bool, law: str) -> None:
    if not holds:
        raise BrokenMessage(law)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
