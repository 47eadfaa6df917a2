"""The `object_store` source: the objects below a prefix of a bucket, or of any file system that fsspec knows.

- An id is the key below the prefix; a uri is the prefix as rag.toml spells it and the key, percent-encoded.
- The version token is made of what the listing tells: ETag (or checksum), size and time of change. A store
  that tells neither has no tokens, and one that tells only times has none for what changed within the last
  two seconds; such objects are read again at every refresh.
- Folders are walked one listing at a time, so memory is that of the largest folder; nothing is cached.
  ``.access.toml`` narrows the access of its folder as in the `files` source; one that cannot be understood
  admits nobody.
- Keys that file systems spell differently (an empty segment, ``.`` or ``..``, a ``/`` at the end) could not
  be fetched under the name that was listed: they are failures. Empty objects whose name ends in ``/`` are the
  folders of other tools and mean nothing. Links and special files are skipped; `skipped` counts them.
- A folder that cannot be listed, or whose pages lead in a circle, makes the listing incomplete. A prefix
  without keys is empty, a bucket that does not exist is an error.
"""

import errno
import os
import re
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlsplit

from fsspec.core import url_to_fs

from rag_pipeline.errors import ConfigurationError, DocumentError, TransientError
from rag_pipeline.model import NOBODY, Access, DocumentRef, Failure, ListingEnd
from rag_pipeline.settings import ObjectStoreSettings
from rag_pipeline.sources.access_files import ACCESS_FILE, MAX_ACCESS_BYTES, parse_access
from rag_pipeline.sources.globs import PathFilter
from rag_pipeline.sources.listing import Problems, escaped_id, is_storable
from rag_pipeline.sources.media_types import media_type
from rag_pipeline.sources.object_store_entries import changed_at, version_token
from rag_pipeline.sources.object_store_pages import refuse_circles
from rag_pipeline.sources.source import MAX_DOCUMENT_BYTES

_BUCKETS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure"}
"""Stores whose folders exist only as parts of keys, and the extra that brings their driver."""

_LOCAL = ("file", "local")
_ODD_NAMES = ("", ".", "..")
_MISCONFIGURED = re.compile("Credential|Authentication|Validation|NoRegion")


class ObjectStoreSource:
    """A prefix and everything below it. `fetch` may be called from several threads."""

    def __init__(self, settings: ObjectStoreSettings) -> None:
        """Take the settings. Raises `ConfigurationError` for a glob or a url that can never work."""
        self._label = f"rag.toml: sources[{settings.name}]"
        parts = urlsplit(settings.url)
        self._protocol = parts.scheme
        if "://" not in settings.url or "::" in settings.url:
            raise ConfigurationError(
                f"{self._label}.url: {settings.url!r} is not the URL of one store; write s3://bucket/prefix or the like"
            )
        if self._protocol in ("http", "https"):
            raise ConfigurationError(f"{self._label}.url: web pages are indexed by a source of type 'website'")
        if parts.password:
            raise ConfigurationError(f"{self._label}.url: holds a password; give the driver's environment variables")
        if self._protocol in _BUCKETS and not parts.netloc:
            raise ConfigurationError(f"{self._label}.url: {settings.url!r} names no bucket")
        self._url = settings.url.rstrip("/") + "/"
        self._options = settings.options
        self._access = settings.default_access
        self._filter = PathFilter.of(settings.include, settings.exclude, f"sources[{settings.name}]")
        self.skipped: Counter[str] = Counter()

    def check(self) -> None:
        """List the top folder; raise `ConfigurationError` for what settings can mend, else `TransientError`."""
        self._store.invalidate_cache()
        try:
            entries = self._entries("")
        except FileNotFoundError as error:
            if reason := self._absence():
                raise ConfigurationError(f"{self._label}.url: {reason}; create it, or correct the url") from error
        except Exception as error:
            message = f"{self._label}.url: {self._url}: {_words(error)}"
            if _is_misconfigured(error):
                raise ConfigurationError(f"{message}; correct the url, the options or the credentials") from error
            raise TransientError(message) from error
        else:
            if [entry["name"] for entry in entries] == [self._root]:
                raise ConfigurationError(f"{self._label}.url: is one object; name its folder and use include")

    def list(self) -> Iterator[DocumentRef | Failure | ListingEnd]:
        """Yield the documents folder by folder, sorted by name inside each."""
        self.skipped.clear()
        self._store.invalidate_cache()
        problems = Problems()
        pending = deque([("", self._access)])
        try:
            while pending:
                folder, access = pending.pop()
                try:
                    entries = self._entries(folder)
                except FileNotFoundError:
                    if reason := f"folder {folder!r} vanished while being listed" if folder else self._absence():
                        problems.add(reason)
                except PermissionError as error:
                    problems.add(f"folder {folder or '.'!r}: {_words(error)}; let this user list it, or exclude it")
                else:
                    yield from self._folder(folder, entries, access, pending, problems)
        except Exception as error:  # drivers raise what they like; whatever it is, the rest is unknown
            problems.add(f"{self._url}: {_words(error)}")
        yield problems.end()

    def fetch(self, ref: DocumentRef) -> bytes:
        """Return an object's bytes as they were at one moment.

        Raises `DocumentError` for one that is gone, unreadable or too large, `TransientError` when the
        store is out of reach.
        """
        path = ref.document_id
        if any(name in _ODD_NAMES for name in path.split("/")):
            raise DocumentError(f"{path!r}: is not a key below {self._url}")
        place = self._path(path)
        try:
            data = self._read(place, ref.size, MAX_DOCUMENT_BYTES)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            if reason := self._absence():
                raise TransientError(f"{reason}; is the store the right one?") from error
            raise DocumentError(f"{path!r}: is gone") from error
        except (PermissionError, ValueError) as error:
            raise DocumentError(f"{path!r}: {_words(error)}") from error
        except Exception as error:
            if isinstance(error, OSError) and error.errno in (errno.EINVAL, errno.ELOOP):
                raise DocumentError(f"{path!r}: {_words(error)}") from error
            raise TransientError(f"{self._url}: {_words(error)}") from error
        if len(data) > MAX_DOCUMENT_BYTES:
            raise DocumentError(f"{path!r}: {_too_large(ref.size or len(data))}")
        return data

    def close(self) -> None:
        """Let the driver go; it closes its connections."""
        self.__dict__.pop("_opened", None)

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        options = {**self._options, "use_listings_cache": False, "skip_instance_cache": True}
        try:
            store, root = url_to_fs(self._url, **options)
        except ImportError as error:
            extra = _BUCKETS.get(self._protocol)
            remedy = f"pip install 'rag-pipeline[{extra}]'" if extra else "install fsspec's driver for it"
            raise ConfigurationError(
                f"{self._label}.url: no driver for {self._protocol}:// is installed; {remedy}"
            ) from error
        except (ValueError, TypeError) as error:
            raise ConfigurationError(f"{self._label}: {_words(error)}; correct the url or the options") from error
        refuse_circles(store)
        return store, root

    @property
    def _store(self) -> Any:
        return self._opened[0]

    @property
    def _root(self) -> str:
        return self._opened[1].rstrip("/")

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}" if key else self._root or "/"

    def _entries(self, folder: str) -> Sequence[Mapping[str, Any]]:
        """Return what lies directly in a folder. Raises whatever the driver raises."""
        return sorted(self._store.ls(self._path(folder), detail=True), key=lambda entry: entry["name"])

    def _absence(self) -> str | None:
        """Say why nothing is listed at the url; None when it is there, or is a prefix that no key has now."""
        place = self._root
        if self._protocol in _BUCKETS:
            place = place.partition("/")[0]
        try:
            self._store.info(place or "/")
        except FileNotFoundError:
            return f"{self._protocol}://{place} does not exist"
        except PermissionError:
            return None  # it exists, or nobody would forbid to look at it
        except Exception as error:
            return f"{self._protocol}://{place}: {_words(error)}"
        return None

    def _read(self, place: str, size: int | None, limit: int) -> bytes:
        """Return at most ``limit + 1`` bytes, in one request. Raises whatever the driver raises."""
        if (
            self._protocol in _LOCAL
            and os.path.realpath(place) != os.path.realpath(self._root) + place[len(self._root) :]
        ):
            raise OSError(errno.ELOOP, "is reached by a symbolic link; links are not followed")
        if not size:  # a store has no range of nothing to give
            now = self._store.info(place)
            if now["type"] != "file":
                raise FileNotFoundError(place)
            if not now["size"]:
                return b""
        return self._store.cat_file(place, start=0, end=limit + 1)

    def _folder(
        self,
        folder: str,
        entries: Sequence[Mapping[str, Any]],
        access: Access,
        pending: deque[tuple[str, Access]],
        problems: Problems,
    ) -> Iterator[DocumentRef | Failure]:
        """Yield what lies in one folder and append the folders below it to `pending`, the first one last."""
        subfolders = deque[tuple[str, Access]]()
        prefix = f"{folder}/" if folder else ""
        at = len(self._root) + 1 + len(prefix)
        listed_at = datetime.now(UTC)
        narrowed = next((entry for entry in entries if entry["name"][at:] == ACCESS_FILE), None)
        if narrowed is not None:
            try:
                data = self._read(narrowed["name"], narrowed.get("size"), MAX_ACCESS_BYTES)
                if len(data) > MAX_ACCESS_BYTES:
                    raise ValueError("is too large for a list of readers")
                access = access.narrowed(parse_access(data))
            except (FileNotFoundError, IsADirectoryError, PermissionError, ValueError) as error:
                access = access.narrowed(NOBODY)
                yield self._failure(prefix + ACCESS_FILE, f"nobody may read what it governs: {_words(error)}")
        for entry in entries:
            name, is_folder = entry["name"][at:], entry["type"] == "directory"
            if entry["name"] == self._path(folder):
                if len(entries) == 1:
                    problems.add(f"{folder or self._url!r} is an object, no folder")
                continue
            if is_folder:
                name = name.removesuffix("/")
            path = prefix + name
            if name == ACCESS_FILE or self._filter.excludes(path):
                continue
            if name in _ODD_NAMES or "/" in name:
                if is_folder or entry.get("size"):
                    yield self._failure(path + "/" * is_folder, "has a name that tools spell differently; rename it")
            elif entry.get("islink") or entry["type"] not in ("file", "directory"):
                self.skipped["links and special files"] += 1
            elif is_folder:
                subfolders.appendleft((path, access))
            elif self._filter.includes(path):
                yield self._document(path, entry, access, listed_at)
        pending.extend(subfolders)

    def _document(
        self, path: str, entry: Mapping[str, Any], access: Access, listed_at: datetime
    ) -> DocumentRef | Failure:
        size = entry.get("size")
        if not is_storable(path):
            return self._failure(path, "the name is not valid UTF-8; rename it")
        if "?versionId=" in path:
            return self._failure(path, "has a name that means a version of another object; rename it")
        if size is not None and size > MAX_DOCUMENT_BYTES:
            return self._failure(path, _too_large(size))
        return DocumentRef(
            document_id=path,
            uri=self._url + quote(path),
            version=version_token(entry, listed_at),
            modified_at=changed_at(entry),
            size=size,
            media_type=media_type(path),
            access=access,
        )

    def _failure(self, path: str, reason: str) -> Failure:
        document_id = path if is_storable(path) else escaped_id(path)
        return Failure(document_id, self._url + quote(path, errors="surrogateescape"), reason)


def _is_misconfigured(error: Exception) -> bool:
    if isinstance(error, PermissionError | NotADirectoryError | ValueError | TypeError):
        return True
    return getattr(error, "errno", None) == errno.EINVAL or bool(_MISCONFIGURED.search(type(error).__name__))


def _too_large(size: int) -> str:
    return f"{size:,} bytes, more than the {MAX_DOCUMENT_BYTES:,} allowed; split it or exclude it"


def _words(error: Exception) -> str:
    """Return what an error says, in one line, with its kind when it says nothing."""
    return " ".join(str(error).split())[:300] or type(error).__name__
