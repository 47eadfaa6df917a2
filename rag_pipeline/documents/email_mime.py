"""The outside of an e-mail: its headers as text, its parts as a tree, its attachments by name.

Promises: attachments are never decoded, nothing is fetched. Nesting and number of parts are bounded before and
after parsing. A charset is believed only as far as the bytes agree. Headers that cannot be decoded stay as they
are written.
"""

import binascii
import codecs
import email.policy
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.parser import BytesParser
from email.utils import parsedate_to_datetime

from rag_pipeline.documents.canonical import decode
from rag_pipeline.documents.writer import one_line
from rag_pipeline.errors import DocumentError
from rag_pipeline.sources.media_types import HTML, MARKDOWN, TEXT

_BOUNDARY = re.compile(rb"boundary\s*+[*=]", re.IGNORECASE)
_ENCODED_WORD = r"=\?[^?\s]{1,80}\?[bBqQ]\?[^?\s]*\?="
_ENCODED_WORDS = re.compile(rf"{_ENCODED_WORD}(?:\s+{_ENCODED_WORD})*")

_MAX_DEPTH = 20
_MAX_PARTS = 1000
_MAX_BOUNDARIES = 200
_MAX_BORDERS = 20_000
_MAX_HEADER = 10_000
_ENCRYPTED = ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")
_READABLE = (TEXT, HTML, MARKDOWN)


def read(data: bytes) -> Message:
    """Parse an e-mail. Raises `DocumentError` when it is none, or a bomb."""
    # The email package stumbles over NUL, which no mail may hold.
    data = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\0", b"")
    if len(_BOUNDARY.findall(data)) > _MAX_BOUNDARIES or data.count(b"\n--") > _MAX_BORDERS:
        raise DocumentError("e-mail of too many parts; save what matters in it as files")
    try:
        # compat32 because the newer policies fail on headers that strangers write, and take long ones to pieces.
        message = BytesParser(policy=email.policy.compat32).parsebytes(data)
    except RecursionError as error:
        raise DocumentError("e-mail nested too deeply; save what matters in it as files") from error
    if not any(name in message for name in ("from", "to", "subject", "date", "received", "message-id", "content-type")):
        raise DocumentError("no e-mail: it has no headers; offer it as text")
    return message


def header(message: Message, name: str) -> str:
    """A header's text on one line, decoded; empty when there is none."""
    name = name.lower()
    value = next((value for key, value in message.raw_items() if key.lower() == name), "")
    raw = str(value)[:_MAX_HEADER].encode("utf-8", "surrogateescape")
    text = decode(raw, _known(message.get_content_charset()))
    return one_line(_ENCODED_WORDS.sub(_words, text.replace("\n", "")))


def date(message: Message) -> datetime | None:
    """When it was sent, in UTC where the zone is known; None when that is not readable."""
    try:
        moment = parsedate_to_datetime(header(message, "date"))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment
    except OverflowError:
        return None


def parts(message: Message, depth: int = 0) -> Iterator[Message]:
    """Yield what a mail program would show, in order: of alternatives the best, then attachments and messages.

    Raises `DocumentError` for encrypted mail, and for nesting or a number of parts without end.
    """
    kind = message.get_content_type()
    if kind in _ENCRYPTED:
        raise DocumentError("encrypted e-mail; decrypt it first")
    if depth > _MAX_DEPTH:
        raise DocumentError(f"e-mail nested more than {_MAX_DEPTH} deep; save what matters in it as files")
    inside = children(message)
    if kind == "message/rfc822" or not message.is_multipart():
        yield message
        return
    if len(inside) > _MAX_PARTS:
        raise DocumentError(f"e-mail of more than {_MAX_PARTS} parts; save what matters in it as files")
    if kind == "multipart/alternative":
        inside = _best(inside)
    for child in inside:
        yield from parts(child, depth + 1)


def children(message: Message) -> list[Message]:
    """The parts of a message that has any, or the message that it forwards."""
    found = message.get_payload() if message.is_multipart() else []
    return [child for child in found if isinstance(child, Message)]


def body(part: Message) -> tuple[str, str] | None:
    """The text of a part and its media type; None for an attachment, and for a part that is not text."""
    kind = part.get_content_type()
    if part.get_content_maintype() == "multipart":
        kind = TEXT  # without a boundary there are no parts
    if kind not in _READABLE or part.get_content_disposition() == "attachment":
        return None
    payload = part.get_payload(decode=True)
    return (_decoded(payload, part.get_content_charset()), kind) if isinstance(payload, bytes) else None


def name(part: Message) -> str:
    """What an attachment is called; its type when it has no name."""
    try:
        return one_line(str(part.get_filename() or "")) or part.get_content_type()
    except (ValueError, LookupError, TypeError):
        return part.get_content_type()


def _best(alternatives: list[Message]) -> list[Message]:
    """Plain text if there is any in it, else HTML, else the last: the richest."""
    for kind in (TEXT, HTML):
        for part in alternatives:
            found = next((inner for inner in _leaves(part) if inner.get_content_type() == kind), None)
            shown = body(found) if found is not None else None
            if shown and shown[0].strip():
                return [part]
    return alternatives[-1:]


def _leaves(part: Message, depth: int = 0) -> Iterator[Message]:
    if part.is_multipart() and depth <= _MAX_DEPTH:
        for child in children(part):
            yield from _leaves(child, depth + 1)
    else:
        yield part


def _words(match: re.Match[str]) -> str:
    """Decode encoded words that follow each other (RFC 2047)."""
    try:
        pieces = decode_header(match[0])
    except (HeaderParseError, binascii.Error, ValueError):
        return match[0]
    return "".join(piece if isinstance(piece, str) else _decoded(piece, _known(charset)) for piece, charset in pieces)


def _known(charset: str | None) -> str:
    """A charset for what is too short to tell: the declared one, else that of most old mail."""
    try:
        return codecs.lookup((charset or "").partition("*")[0]).name
    except (LookupError, ValueError):
        return "cp1252"


def _decoded(data: bytes, charset: str | None) -> str:
    """Text of a declared charset, which is believed where the bytes are not UTF-8, or where it hides in ASCII."""
    charset = (charset or "").partition("*")[0]
    if data.isascii() and charset.lower().startswith("iso-2022"):
        try:
            return data.decode(charset)
        except (LookupError, UnicodeDecodeError):
            pass
    return decode(data, charset)
