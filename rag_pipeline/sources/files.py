"""The `files` source: a folder and everything below it that the globs ask for.

- An id is the path below the folder, as the file system spells it, so that names that differ only in
  case or in Unicode normal form stay two documents.
- The version token is made of the times, the size and the inode. A file that changed within the last
  two seconds has none, because a second change could leave all four alike; it is read again next time.
- Symbolic links, pipes, sockets and devices are neither followed nor opened; `FilesSource.skipped` counts
  them. ``.git`` is never entered.
- A file that cannot be read is a failure; a folder that cannot be read makes the listing incomplete.
"""

import os
import time
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from rag_pipeline.errors import ConfigurationError, DocumentError, TransientError
from rag_pipeline.model import Access, DocumentRef, Failure, ListingEnd
from rag_pipeline.settings import FilesSettings
from rag_pipeline.sources.access_files import ACCESS_FILE, narrowed_in
from rag_pipeline.sources.globs import PathFilter
from rag_pipeline.sources.listing import Problems, escaped_id, is_storable, moment
from rag_pipeline.sources.media_types import media_type
from rag_pipeline.sources.safe_open import open_folder, open_root, read_file
from rag_pipeline.sources.source import MAX_DOCUMENT_BYTES

_RACY_NS = 2_000_000_000


class FilesSource:
    """A folder on a local or mounted file system. `fetch` may be called from several threads."""

    def __init__(self, settings: FilesSettings, folder: Path, workspace: Path | None = None) -> None:
        """Take the settings; a relative path starts at `folder`, and `workspace`, the pipeline's own, is never entered.

        Raises `ConfigurationError` for a wrong glob.
        """
        self._setting = f"sources[{settings.name}]"
        self._root = Path(os.path.abspath(folder / settings.path))
        self._root_uri = self._root.as_uri().rstrip("/") + "/"
        self._workspace = os.path.relpath(workspace, self._root) if workspace else None
        self._access = settings.default_access
        self._filter = PathFilter.of(settings.include, settings.exclude, self._setting)
        self.skipped: Counter[str] = Counter()

    def check(self) -> None:
        """Raise `ConfigurationError` when the folder does not exist or cannot be listed."""
        try:
            root = open_root(self._root)
            try:
                os.scandir(root).close()
            finally:
                os.close(root)
        except OSError as error:
            raise ConfigurationError(
                f"rag.toml: {self._setting}.path: {self._root}: {error.strerror}; "
                "name a folder that exists and that this user may read"
            ) from error

    def list(self) -> Iterator[DocumentRef | Failure | ListingEnd]:
        """Yield the documents folder by folder, sorted by name inside each."""
        self.skipped.clear()
        problems = Problems()
        try:
            root = open_root(self._root)
        except OSError as error:
            yield ListingEnd(complete=False, reason=f"{self._root}: {error.strerror}")
            return
        try:
            pending = deque([("", self._access)])
            while pending:
                folder, access = pending.pop()
                yield from self._folder(root, folder, access, pending, problems)
        finally:
            os.close(root)
        yield problems.end()

    def fetch(self, ref: DocumentRef) -> bytes:
        """Return a file's bytes as they were at one moment.

        Raises `DocumentError` for a file that is gone, unreadable, no regular file, too large or being
        written, and `TransientError` when the source's folder itself is gone.
        """
        path = ref.document_id
        if any(name in ("", ".", "..") for name in path.split("/")) or "\0" in path:
            raise DocumentError(f"{path!r}: is not a path below {self._root}")
        try:
            root = open_root(self._root)
        except OSError as error:
            raise TransientError(f"{self._root}: {error.strerror}; is the file system mounted?") from error
        parent, _, name = path.rpartition("/")
        try:
            folder = open_folder(root, parent)
            try:
                return read_file(folder, name, MAX_DOCUMENT_BYTES)
            finally:
                os.close(folder)
        except OSError as error:
            raise DocumentError(f"{path!r}: {error.strerror}") from error
        except DocumentError as error:
            raise DocumentError(f"{path!r}: {error}") from error
        finally:
            os.close(root)

    def close(self) -> None:
        """Nothing is held between calls."""

    def _folder(
        self, root: int, folder: str, access: Access, pending: deque[tuple[str, Access]], problems: Problems
    ) -> Iterator[DocumentRef | Failure]:
        """Yield what lies in one folder and append the folders below it to `pending`, the first one last."""
        started_ns = time.time_ns()
        subfolders: list[tuple[str, Access]] = []
        prefix = f"{folder}/" if folder else ""
        try:
            descriptor = open_folder(root, folder)
        except OSError as error:
            problems.add(_unreadable(folder, error))
            return
        try:
            with os.scandir(descriptor) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
            if any(entry.name == ACCESS_FILE for entry in entries):
                access, wrong = narrowed_in(descriptor, access)
                if wrong:
                    yield self._failure(prefix + ACCESS_FILE, wrong)
            for entry in entries:
                path = prefix + entry.name
                if entry.name in (ACCESS_FILE, ".git") or path == self._workspace or self._filter.excludes(path):
                    continue
                if entry.is_symlink():
                    self.skipped["symbolic links"] += 1
                elif entry.is_dir(follow_symlinks=False):
                    subfolders.append((path, access))
                elif not entry.is_file(follow_symlinks=False):
                    self.skipped["special files"] += 1
                elif self._filter.includes(path):
                    yield self._document(descriptor, entry, path, access, started_ns)
            pending.extend(reversed(subfolders))
        except OSError as error:
            problems.add(_unreadable(folder, error))
        finally:
            os.close(descriptor)

    def _document(
        self, folder: int, entry: os.DirEntry[str], path: str, access: Access, started_ns: int
    ) -> DocumentRef | Failure:
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return self._failure(path, "vanished while being listed; the next refresh decides")
        except OSError as error:
            return self._failure(path, f"{error.strerror}; let this user read it, or exclude it")
        if not is_storable(path):
            return self._failure(path, "the name is not valid UTF-8; rename the file")
        if status.st_size > MAX_DOCUMENT_BYTES:
            return self._failure(
                path, f"{status.st_size:,} bytes, more than the {MAX_DOCUMENT_BYTES:,} allowed; split it or exclude it"
            )
        if not os.access(entry.name, os.R_OK, dir_fd=folder):
            return self._failure(path, "permission denied; let this user read the file, or exclude it")
        token = f"{status.st_mtime_ns}-{status.st_ctime_ns}-{status.st_size}-{status.st_ino}"
        return DocumentRef(
            document_id=path,
            uri=self._root_uri + quote(path),
            version=token if status.st_ctime_ns <= started_ns - _RACY_NS else None,
            modified_at=moment(status.st_mtime_ns // 1000),
            size=status.st_size,
            media_type=media_type(path),
            access=access,
        )

    def _failure(self, path: str, reason: str) -> Failure:
        document_id = path if is_storable(path) else escaped_id(path)
        return Failure(document_id, self._root_uri + quote(os.fsencode(path)), reason)


def _unreadable(folder: str, error: OSError) -> str:
    return f"folder {folder or '.'!r}: {error.strerror}; let this user read it, or exclude it"
