"""What a document says about itself: YAML between two ``---`` lines at its very start.

Promises: no code is run, no alias is followed, nothing above `MAX_CHARACTERS` is read, values are plain
JSON. What cannot be read raises, and whoever reads access from it must then assume nobody.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from math import isfinite
from typing import Any

import yaml

from rag_pipeline.documents.canonical import clean
from rag_pipeline.errors import DocumentError
from rag_pipeline.model import Access

MAX_CHARACTERS = 64 * 1024
_MAX_DEPTH = 20
_OPENING = re.compile(r"---[ \t]*\n")
_CLOSING = re.compile(r"^---[ \t]*$", re.MULTILINE)
_MENTIONS_ACCESS = re.compile(r"(?:^|[{,?])\s*[\"']?access[\"']?\s*:", re.IGNORECASE | re.MULTILINE)
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """The declarations; `end` is the offset of the first character after the closing line."""

    end: int = 0
    title: str = ""
    access: tuple[str, ...] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])


class UnreadableAccess(DocumentError):
    """Front matter that means to declare access but cannot be read: then nobody may read."""


def read(text: str) -> FrontMatter:
    """Read the front matter of a canonical text; an empty `FrontMatter` when there is none.

    A start that is not a YAML mapping (a thematic break, for example) is no front matter. Raises
    `UnreadableAccess` when it mentions access but cannot be understood, else `DocumentError` when it is
    broken.
    """
    opening = _OPENING.match(text)
    if not opening:
        return FrontMatter()
    head = text[:MAX_CHARACTERS]
    closing = _CLOSING.search(head, opening.end())
    source = head[opening.end() : closing.start() if closing else len(head)]
    mentions_access = _MENTIONS_ACCESS.search(source) is not None
    if not closing:
        if mentions_access:
            raise UnreadableAccess("front matter with access does not end; close it with ---")
        return FrontMatter()
    try:
        values = _mapping(source)
    except DocumentError as error:
        if mentions_access:
            raise UnreadableAccess(str(error)) from error
        raise
    if values is None:
        if mentions_access:
            raise UnreadableAccess("front matter mentions access but is no YAML mapping; write 'key: value' lines")
        return FrontMatter()
    access = _access(values)  # as written: a principal must not become another one by cleaning
    metadata = _json(values)
    title = " ".join(str(metadata.pop("title", None) or "").split())
    end = min(closing.end() + 1, len(text))
    return FrontMatter(end, title, access, metadata)


def _mapping(source: str) -> dict[Any, Any] | None:
    """Parse YAML; None when it is no mapping. Raises `DocumentError`."""
    try:
        depth = 0
        for event in yaml.parse(source, Loader=_Loader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise DocumentError("front matter uses YAML anchors or aliases; write the values out")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:
                raise DocumentError(f"front matter is nested more than {_MAX_DEPTH} deep")
        loader = _Loader(source)
        node = loader.get_single_node()
        if node is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            return None
        names = [str(key.value) for key, _ in node.value]
        if len(set(names)) < len(names):
            raise DocumentError("front matter names a key twice; keep one")
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise DocumentError(f"front matter is not valid YAML: {' '.join(str(error).split())[:200]}") from error


def _json(value: Any) -> Any:
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if isfinite(value) else None
        case str():
            return clean(value)
        case bytes():
            return clean(value.decode("utf-8", "replace"))
        case date():
            return value.isoformat()
        case dict():
            return {clean(str(_json(key))): _json(item) for key, item in value.items()}
        case set():
            return sorted(str(_json(item)) for item in value)
        case _:
            return [_json(item) for item in value]


def _access(values: dict[Any, Any]) -> tuple[str, ...] | None:
    """Take the access list out of `values`. Raises `UnreadableAccess` unless it is a list of principals."""
    for name in values:
        if name != "access" and str(name).strip().casefold() == "access":
            raise UnreadableAccess(f"front matter spells access as {name!r}; write it in lower case")
    if "access" not in values:
        return None
    names = values.pop("access")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UnreadableAccess("front matter: access must be a list of principals, such as [group:hr, user:ana]")
    try:
        return Access.of(names).allow
    except ValueError as error:
        raise UnreadableAccess(f"front matter: access: {error}") from error
