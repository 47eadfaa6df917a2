"""The normal form of a record with comments: what every connector to a ticket system hands over as bytes.

Promises: the same ticket gives the same bytes everywhere (JSON with sorted keys, UTF-8, times in UTC), so that
the content hash changes only when the ticket does. `Ticket.from_bytes` refuses what `Ticket.to_bytes` cannot
have written. Access is read apart from the ticket, and whatever is not a list of principals admits nobody.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, date, datetime, time
from decimal import Decimal
from math import isfinite
from typing import Any, NoReturn
from uuid import UUID

from rag_pipeline.errors import DocumentError
from rag_pipeline.model import NOBODY, Access
from rag_pipeline.settings import TicketFields
from rag_pipeline.sources.media_types import HTML, MARKDOWN, TEXT
from rag_pipeline.sources.source import MAX_DOCUMENT_BYTES
from rag_pipeline.storable import storable, storable_json

BODY_TYPES = (MARKDOWN, HTML, TEXT)
_MAX_PRINCIPALS = 5000
_MAX_DEPTH = 50
_MAX_BITS = 1000


@dataclass(frozen=True, slots=True)
class Comment:
    """One contribution to a ticket; `author` and `at` (ISO 8601) are empty when unknown."""

    author: str
    at: str
    body: str


@dataclass(frozen=True, slots=True)
class Ticket:
    """A record as people know it. `body_type` says how the body and the comments are written; times are ISO 8601.

    `metadata` is more to keep about it, JSON values only.
    """

    title: str
    body: str
    state: str = ""
    labels: tuple[str, ...] = ()
    author: str = ""
    created_at: str = ""
    updated_at: str = ""
    body_type: str = MARKDOWN
    comments: tuple[Comment, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_bytes(self) -> bytes:
        """Return the canonical bytes. Raises `DocumentError` when a value has no place in JSON."""
        try:
            return storable_json(asdict(self)).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise DocumentError(f"ticket cannot be written as JSON: {error}; leave the value out") from error

    @classmethod
    def from_bytes(cls, data: bytes) -> "Ticket":
        """Read what `to_bytes` wrote. Raises `DocumentError` for anything else."""
        if len(data) > MAX_DOCUMENT_BYTES:
            raise DocumentError(f"ticket has {len(data)} bytes, more than {MAX_DOCUMENT_BYTES}; split it")
        try:
            values = json.loads(data.decode(), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise DocumentError(f"not a ticket in normal form: {reason}; let a connector write it") from error
        read = _known(values, cls)
        read["labels"] = tuple(_each(read.get("labels", []), str, "label"))
        comments = _each(read.get("comments", []), dict, "comment")
        read["comments"] = tuple(_complete(Comment, _known(comment, Comment)) for comment in comments)
        read["metadata"] = _json(read.get("metadata", {}))
        ticket = _complete(cls, read)
        if not isinstance(ticket.metadata, dict) or ticket.body_type not in BODY_TYPES:
            raise DocumentError("not a ticket in normal form: no known body_type, or metadata that is no object")
        return ticket

    @classmethod
    def from_record(cls, record: Mapping[str, Any], fields: TicketFields, body_type: str = MARKDOWN) -> "Ticket":
        """Return the ticket that a row or a JSON object stands for, as `fields` say. What is missing stays empty.

        Raises `DocumentError` where a text is expected and a list or an object is found.
        """
        texts = {
            name: _text(value_at(record, path), path)
            for name in ("title", "body", "state", "author", "created_at", "updated_at")
            if (path := getattr(fields, name))
        }
        more = {name: _json(value_at(record, path)) for name, path in fields.metadata.items()}
        return cls(
            **texts,
            labels=_labels(record, fields.labels) if fields.labels else (),
            body_type=body_type,
            comments=_comments(record, fields) if fields.comments else (),
            metadata={name: value for name, value in more.items() if value is not None},
        )


def value_at(record: Any, path: str) -> Any:
    """Return what lies at a dotted path of keys and list indices, None where nothing does.

    A key that itself contains dots wins over the path that it looks like, at every step.
    """
    value, rest = record, path
    while rest:
        if isinstance(value, Mapping):
            if rest in value:
                return value[rest]
            name, _, rest = rest.partition(".")
            value = value.get(name)
        elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
            name, _, rest = rest.partition(".")
            index = int(name) if name.isascii() and name.isdigit() and len(name) < 10 else len(value)
            value = value[index] if index < len(value) else None
        else:
            return None
    return value


def access_of(record: Mapping[str, Any], fields: TicketFields) -> Access | None:
    """Return who may read the record: None when no field says so, nobody when that field is not a list of principals.

    A text is split at its commas, or where it has none at white space.
    """
    if fields.access is None:
        return None
    value = value_at(record, fields.access)
    if isinstance(value, str):
        value = [name.strip() for name in value.split(",")] if "," in value else value.split()
    if not isinstance(value, list | tuple) or len(value) > _MAX_PRINCIPALS:
        return NOBODY
    if not all(isinstance(name, str) for name in value):
        return NOBODY
    try:
        return Access.of(value)
    except ValueError:
        return NOBODY


def _labels(record: Mapping[str, Any], path: str) -> tuple[str, ...]:
    """Labels from a list of names or of objects that have one, or from a text with commas."""
    value = value_at(record, path)
    if isinstance(value, str):
        value = value.split(",")
    elif not isinstance(value, list | tuple):
        value = [] if value is None else [value]
    names = (_text(value_at(label, "name") if isinstance(label, Mapping) else label, path).strip() for label in value)
    return tuple(dict.fromkeys(name for name in names if name))


def _comments(record: Mapping[str, Any], fields: TicketFields) -> tuple[Comment, ...]:
    value = value_at(record, fields.comments or "")
    if value is None:
        return ()
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list | tuple):
        raise DocumentError(f"{fields.comments!r} is no list of comments; map fields.comments to the list itself")
    return tuple(_comment(item, fields) for item in value)


def _comment(item: Any, fields: TicketFields) -> Comment:
    if not isinstance(item, Mapping):
        return Comment("", "", _text(item, str(fields.comments)))
    paths = (fields.comment_author, fields.comment_at, fields.comment_body)
    return Comment(*(_text(value_at(item, path), path) for path in paths))


def _text(value: Any, path: str) -> str:
    """A scalar as text. Raises `DocumentError` for lists and objects."""
    plain = _json(value)
    match plain:
        case None:
            return ""
        case str():
            return plain
        case bool() | int() | float():
            return json.dumps(plain)
    raise DocumentError(f"{path!r} holds a {type(plain).__name__}, not a text; map the field to a text inside it")


def _json(value: Any, depth: int = 0) -> Any:
    """A value of a row as JSON: times in UTC, numbers as numbers, what has no other form as its text."""
    if depth > _MAX_DEPTH:
        raise DocumentError(f"a value is nested more than {_MAX_DEPTH} deep; map a part of it")
    match value:
        case None | bool():
            return value
        case str():
            return storable(value)
        case int():
            if value.bit_length() > _MAX_BITS:
                raise DocumentError("a number has hundreds of digits; leave it out, or give it as a text")
            return value
        case float():
            return value if isfinite(value) else None
        case Decimal():
            whole = value.is_finite() and abs(value) < 2**63 and value == value.to_integral_value()
            return _json(int(value) if whole else float(value))
        case datetime():
            return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
        case date() | time():
            return value.isoformat()
        case bytes() | bytearray() | memoryview():
            return storable(bytes(value).decode("utf-8", "replace"))
        case Mapping():
            return {storable(str(key)): _json(item, depth + 1) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            items = [_json(item, depth + 1) for item in value]
            return sorted(items, key=str) if isinstance(value, set | frozenset) else items
        case UUID():
            return str(value)
    return storable(str(value))


def _known(values: Any, kind: type) -> dict[str, Any]:
    """The keys of a JSON object, each one that `kind` has."""
    if not isinstance(values, dict) or not values.keys() <= {each.name for each in fields(kind)}:
        raise DocumentError(f"not a {kind.__name__.lower()} in normal form: unknown keys; let a connector write it")
    return values


def _each(values: Any, kind: type, name: str) -> list[Any]:
    if not isinstance(values, list) or not all(isinstance(value, kind) for value in values):
        raise DocumentError(f"not a ticket in normal form: a {name} is no {kind.__name__}; let a connector write it")
    return values


def _complete(kind: type, values: dict[str, Any]) -> Any:
    """Build a `kind` whose plain fields are all texts."""
    for name, value in values.items():
        if name not in ("labels", "comments", "metadata") and not isinstance(value, str):
            raise DocumentError(f"not a {kind.__name__.lower()} in normal form: {name} is no text")
    try:
        return kind(**values)
    except TypeError as error:
        raise DocumentError(f"not a {kind.__name__.lower()} in normal form: a field is missing") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
