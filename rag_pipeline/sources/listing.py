"""What all connectors of file trees say alike: odd names, odd clocks, and why a listing is incomplete."""

from datetime import UTC, datetime, timedelta

from rag_pipeline.model import ListingEnd

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_LATEST_MICROSECONDS = (_LATEST - _EPOCH) // timedelta(microseconds=1)
_REASONS_SHOWN = 3


def is_storable(path: str) -> bool:
    """Say whether a path (undecodable bytes as surrogate escapes) is valid UTF-8 and can serve as an id."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def escaped_id(path: str) -> str:
    """Return an id for a path that is not valid UTF-8: readable, distinct for distinct paths.

    It begins with ``./``, as no path of a listing does, so that it never meets the id of a document.
    """
    raw = path.encode(errors="surrogateescape").replace(b"\\", b"\\\\")
    return "./" + raw.decode(errors="backslashreplace")


def moment(microseconds: int) -> datetime:
    """Return a time since 1970 in UTC, held between 1970 and 2200: clocks and hostile commits say anything."""
    return _EPOCH + timedelta(microseconds=min(max(microseconds, 0), _LATEST_MICROSECONDS))


class Problems:
    """Collects why a listing is incomplete; keeps the first few reasons and counts the rest."""

    def __init__(self) -> None:
        self._shown: list[str] = []
        self._count = 0

    def add(self, reason: str) -> None:
        """Note one reason."""
        self._count += 1
        if len(self._shown) < _REASONS_SHOWN:
            self._shown.append(reason)

    def end(self) -> ListingEnd:
        """Return the end of the listing: complete exactly when nothing was noted."""
        if not self._count:
            return ListingEnd(complete=True)
        more = self._count - len(self._shown)
        return ListingEnd(complete=False, reason="; ".join(self._shown) + (f"; and {more} more" if more else ""))
