"""The folders of a git tree: which are excluded, and who may read what lies in the others."""

from collections.abc import Mapping

from rag_pipeline.errors import DocumentError
from rag_pipeline.model import NOBODY, Access
from rag_pipeline.sources.access_files import ACCESS_FILE, MAX_ACCESS_BYTES, parse_access
from rag_pipeline.sources.git_command import BlobReader
from rag_pipeline.sources.git_history import Entry
from rag_pipeline.sources.globs import PathFilter


class Folders:
    """Answers for one tree whose paths all have slashes between folders; the root is the empty path."""

    def __init__(self, entries: Mapping[str, Entry], access: Access, paths: PathFilter, blobs: BlobReader) -> None:
        self._paths = paths
        self._blobs = blobs
        self._access_files = _access_files(entries)
        self.unreadable: dict[str, str] = {}
        self._access: dict[str, Access | None] = {"": self._narrowed("", access)}
        for folder in self._access_files:
            self.access(folder)

    def access(self, folder: str) -> Access | None:
        """Return who may read what lies directly in a folder; None when the folder is excluded.

        After construction `unreadable` holds each ``.access.toml`` that could not be understood, by its
        path, with the reason; nobody may read what it governs.
        """
        ancestors = [folder]
        while ancestors[-1] not in self._access:
            ancestors.append(ancestors[-1].rpartition("/")[0])
        access = self._access[ancestors.pop()]
        for below in reversed(ancestors):
            if access is not None:
                access = None if self._paths.excludes(below) else self._narrowed(below, access)
            self._access[below] = access
        return access

    def _narrowed(self, folder: str, access: Access) -> Access:
        if folder not in self._access_files:
            return access
        entry = self._access_files[folder]
        try:
            if entry is None or not entry.is_file:
                raise ValueError("is not a regular file")
            return access.narrowed(parse_access(self._blobs.read(entry.blob, MAX_ACCESS_BYTES)))
        except (ValueError, DocumentError) as error:
            self.unreadable[f"{folder}/{ACCESS_FILE}".removeprefix("/")] = str(error)
            return access.narrowed(NOBODY)


def _access_files(entries: Mapping[str, Entry]) -> dict[str, Entry | None]:
    """Return the ``.access.toml`` of each folder that has one; None where a folder bears that name."""
    found: dict[str, Entry | None] = {}
    for path, entry in entries.items():
        if ACCESS_FILE not in path:
            continue
        names = path.split("/")
        for depth, name in enumerate(names):
            if name == ACCESS_FILE:
                found["/".join(names[:depth])] = entry if depth == len(names) - 1 else None
                break
    return found
