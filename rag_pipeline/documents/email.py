"""An e-mail becomes its subject, a line that says who and when, and its text; what it quotes is a quotation.

Promises: plain text is preferred to HTML; a forwarded message is a section of its own; attachments are listed
by name in the metadata and never opened. Quoted lines, and the line that introduces them, are quotes; a
signature is a paragraph.
"""

import re
from collections.abc import Iterator
from email.message import Message
from typing import Any

from rag_pipeline.documents import compose, email_mime
from rag_pipeline.documents.canonical import clean
from rag_pipeline.documents.writer import Writer
from rag_pipeline.errors import DocumentError
from rag_pipeline.model import BlockKind, Document
from rag_pipeline.sources.media_types import TEXT

_MAX_FORWARDS = 20
_FORWARDED = "Forwarded message"
_INTRODUCTION = re.compile(
    r"(?:on|am|le|el|il|op|em|den|dnia) [^\n]{1,200}(?:\n[^\n]{1,200})?"
    r"(?:wrote|schrieb|a écrit|escribió|ha scritto|schreef|escreveu|skrev|napisał)[^\n]{0,80}:",
    re.IGNORECASE,
)
_ORIGINAL = re.compile(r"-{2,}\s?(?:original message|ursprüngliche nachricht|message d'origine)\s?-{2,}", re.IGNORECASE)
_SIGNATURE = re.compile(r"-- ?")
_QUOTED_BLANK = re.compile(r"[>\s]*")


def parse(data: bytes) -> Document:
    """Parse an e-mail as it travels (RFC 5322 and MIME). Raises `DocumentError`."""
    if not data.strip():
        return Document("", ())
    message = email_mime.read(data)
    writer = Writer()
    attachments: list[str] = []
    _write(writer, message, 1, attachments)
    sent = email_mime.date(message)
    metadata: dict[str, Any] = {
        **{name: email_mime.header(message, name) for name in ("from", "to", "cc")},
        "date": sent.isoformat() if sent else email_mime.header(message, "date"),
        "message_id": email_mime.header(message, "message-id"),
        "in_reply_to": email_mime.header(message, "in-reply-to"),
        "attachments": attachments,
    }
    known = {name: value for name, value in metadata.items() if value}
    return writer.document(email_mime.header(message, "subject"), known)


def _write(writer: Writer, message: Message, level: int, attachments: list[str]) -> None:
    """Write a message under a heading of `level`, and what it forwards below it."""
    if level > _MAX_FORWARDS:
        raise DocumentError(f"e-mail that forwards more than {_MAX_FORWARDS} deep; save what matters in it as files")
    subject = email_mime.header(message, "subject") or (_FORWARDED if level > 1 else "")
    writer.add(BlockKind.HEADING, subject, level)
    writer.add(BlockKind.PARAGRAPH, _line(message))
    for part in email_mime.parts(message):
        if part.get_content_type() == "message/rfc822" and part.is_multipart():
            for forwarded in email_mime.children(part):
                _write(writer, forwarded, level + 1, attachments)
        elif (shown := email_mime.body(part)) is None:
            attachments.append(email_mime.name(part))
        elif shown[1] == TEXT:
            _write_plain(writer, shown[0])
        else:
            compose.append(writer, compose.part(*shown), below=level)


def _line(message: Message) -> str:
    """Who wrote it and on which day."""
    sender, sent = email_mime.header(message, "from"), email_mime.date(message)
    day = sent.date().isoformat() if sent else email_mime.header(message, "date")
    return ", ".join(f"{name}: {value}" for name, value in (("From", sender), ("Date", day)) if value)


def _write_plain(writer: Writer, body: str) -> None:
    original = False
    for kind, paragraph in _paragraphs(clean(body)):
        original = original or _ORIGINAL.fullmatch(paragraph.split("\n")[0].strip()) is not None
        writer.add(BlockKind.QUOTE if original else kind, paragraph)


def _paragraphs(body: str) -> Iterator[tuple[BlockKind, str]]:
    """Split at blank lines, also quoted ones, where a quotation begins or ends, and before a signature."""
    lines: list[str] = []
    kind = BlockKind.PARAGRAPH
    waiting = ""  # a paragraph that may introduce a quotation
    for line in (*body.split("\n"), ""):
        of_line = BlockKind.QUOTE if line.startswith(">") else BlockKind.PARAGRAPH
        blank = _QUOTED_BLANK.fullmatch(line) is not None
        if lines and (blank or of_line is not kind or _SIGNATURE.fullmatch(line)):
            paragraph = "\n".join(lines)
            if waiting:
                yield (kind, waiting)
                waiting = ""
            if kind is BlockKind.PARAGRAPH and _INTRODUCTION.fullmatch(paragraph.strip()):
                waiting = paragraph
            else:
                yield (kind, paragraph)
            lines = []
        if not blank:
            lines.append(line)
            kind = of_line
    if waiting:
        yield (BlockKind.PARAGRAPH, waiting)
