"""What connectors to records share: a record's id, who may read it, when it changed, and rereading one of many.

A record is a mapping of JSON values; `rag_pipeline.settings.TicketFields` says where it keeps what.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from rag_pipeline.errors import DocumentError
from rag_pipeline.model import PUBLIC, Access
from rag_pipeline.settings import SqlSettings, TicketFields, TicketsSettings
from rag_pipeline.sources.listing import moment
from rag_pipeline.sources.source import MAX_DOCUMENT_BYTES
from rag_pipeline.sources.ticket import Ticket, access_of, value_at

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LENGTH_BYTES = 8
_MAX_URL = 2_000


def record_id(record: Mapping[str, Any], fields: TicketFields) -> str:
    """Return what identifies a record: a text, or a whole number as one. Raises `DocumentError` for anything else."""
    value = value_at(record, fields.id)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise DocumentError(f"has no id in {fields.id!r}; map fields.id to a text or a whole number that every one has")
    return value


def readers(record: Mapping[str, Any], settings: TicketsSettings | SqlSettings) -> Access:
    """Return who may read a record: whom it names, as far as the source's own access and deny admit them.

    Without a field for access that is the source's access; with one, a source without access bounds nothing.
    """
    found = access_of(record, settings.fields)
    if found is None:
        return settings.default_access
    return found.narrowed(Access.of(settings.access or (PUBLIC,), settings.deny))


def record_url(record: Mapping[str, Any], fields: TicketFields) -> str | None:
    """Return the address where people read a record; None when it has none that a browser can open."""
    url = value_at(record, fields.url) if fields.url else None
    if not isinstance(url, str) or len(url) > _MAX_URL or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.netloc else None


def instant(value: Any) -> datetime | None:
    """Return the moment that an ISO 8601 text means, without an offset in UTC; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value.strip())
        return moment((found.replace(tzinfo=found.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1))
    except (ValueError, OverflowError):
        return None


def ticket_bytes(record: Mapping[str, Any], settings: TicketsSettings | SqlSettings) -> bytes:
    """Return a record's document, in normal form.

    Raises `DocumentError` for a record that does not fit the fields, says nothing or is too large.
    """
    ticket = Ticket.from_record(record, settings.fields, settings.body_type)
    if not (ticket.title or ticket.body or ticket.comments):
        raise DocumentError("says nothing; map fields.title, fields.body or fields.comments to where its text is")
    data = ticket.to_bytes()
    if len(data) > MAX_DOCUMENT_BYTES:
        raise DocumentError(
            f"{len(data):,} bytes, more than the {MAX_DOCUMENT_BYTES:,} allowed; leave a part of it out"
        )
    return data


def loaded(text: str | bytes) -> Any:
    """Read JSON from a stranger. Raises `DocumentError`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise DocumentError(f"is no JSON: {reason}") from error


class Spool:
    """Many records on disk for a short while, so that any of them can be read again without reading all.

    Memory holds an id and a number for each. Of two records with one id the later one is kept.
    """

    def __init__(self) -> None:
        descriptor, name = tempfile.mkstemp()
        os.unlink(name)
        self._file = os.fdopen(descriptor, "w+b")
        self._starts: dict[str, int] = {}
        self._end = 0

    def put(self, name: str, data: bytes) -> None:
        """Keep some bytes under a name."""
        self._file.seek(self._end)
        self._file.write(len(data).to_bytes(_LENGTH_BYTES, "big"))
        self._file.write(data)
        self._starts[name] = self._end
        self._end += _LENGTH_BYTES + len(data)

    def get(self, name: str) -> bytes | None:
        """Return the bytes that were put under a name; None when there are none."""
        start = self._starts.get(name)
        if start is None:
            return None
        self._file.seek(start)
        return self._file.read(int.from_bytes(self._file.read(_LENGTH_BYTES), "big"))

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()
