"""Text that Postgres can store: no NUL, no lone surrogates. Everything that comes from outside passes here."""

import json
from collections.abc import Mapping
from typing import Any


def storable(text: str) -> str:
    """Return the text with NUL and lone surrogates replaced by U+FFFD; other text comes back unchanged."""
    if text.isascii():
        return text.replace("\0", "\ufffd")
    return text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def storable_json(values: Mapping[str, Any]) -> str:
    """Return canonical JSON (sorted keys) of JSON values, each string made storable."""
    return json.dumps(_clean(dict(values)), sort_keys=True, ensure_ascii=False, allow_nan=False)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {storable(str(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value
