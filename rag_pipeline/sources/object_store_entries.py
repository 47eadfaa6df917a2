"""What the entry of a listing tells about an object; each driver of fsspec names the same things differently."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rag_pipeline.sources.listing import moment

_ETAGS = ("ETag", "etag", "md5Hash", "md5", "content_md5", "crc32c")
_TIMES = ("LastModified", "last_modified", "updated", "modified", "mtime")
_RACY = timedelta(seconds=2)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def changed_at(entry: Mapping[str, Any]) -> datetime | None:
    """Return when the object changed, as far as its store tells: as a time, a text or seconds since 1970."""
    value = next((entry[key] for key in _TIMES if entry.get(key)), None)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        value = (value if value.tzinfo else value.replace(tzinfo=UTC)) - _EPOCH
        return moment(value // timedelta(microseconds=1))
    return moment(int(value * 1_000_000)) if isinstance(value, int | float) else None


def version_token(entry: Mapping[str, Any], listed_at: datetime) -> str | None:
    """Return a token that changes whenever the bytes do; None when the entry cannot promise that.

    A time alone promises nothing for what changed within the two seconds before `listed_at`, because a
    second change could leave it as it is.
    """
    etag = next((entry[key] for key in _ETAGS if entry.get(key)), "")
    changed = changed_at(entry)
    if not etag and (changed is None or changed > listed_at - _RACY):
        return None
    tag = etag.hex() if isinstance(etag, bytes | bytearray) else etag
    return " ".join((str(tag), str(entry.get("size")), changed.isoformat() if changed else "")).strip()
