"""The workspace: what flows between the stages, and every version of a document that is still needed.

::

    <root>/refreshes/<source>/<refresh>/*.parquet    what one refresh handed from stage to stage
    <root>/blobs/<2 hex>/<62 hex>                    document bytes by SHA-256, once however often used

The root is a folder or any fsspec URL. Blobs are content-addressed: an interrupted write is seen by its
hash when it is read, and mended by the next write of the same bytes.
"""

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from upath import UPath

from rag_pipeline.errors import DocumentError
from rag_pipeline.settings import Settings


class LostBytes(DocumentError):
    """The workspace no longer has a document's bytes, so that it must be read again whatever its version token says."""


class Workspace:
    """Files of one workspace, on local disk or on shared storage."""

    def __init__(self, settings: Settings) -> None:
        root = settings.workspace.root
        self.root = UPath(root if "://" in root else settings.folder / root)

    def new_folder(self, source: str) -> str:
        """Make the folder of a new refresh and return its path relative to the root; names sort by time."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
        folder = f"refreshes/{source}/{stamp}-{secrets.token_hex(4)}"
        (self.root / folder).mkdir(parents=True, exist_ok=True)
        return folder

    def file(self, folder: str, name: str) -> UPath:
        """Return the path of one file of a refresh."""
        return self.root / folder / name

    def folders(self, source: str) -> list[str]:
        """Return the folders of a source's refreshes, oldest first."""
        parent = self.root / "refreshes" / source
        if not parent.exists():
            return []
        return sorted(f"refreshes/{source}/{folder.name}" for folder in parent.iterdir())

    def remove_folder(self, folder: str) -> None:
        """Delete a refresh's files; a folder that is already gone is no error."""
        path = self.root / folder
        for file in path.iterdir() if path.exists() else ():
            file.unlink(missing_ok=True)
        if path.exists():
            path.rmdir()

    def put_blob(self, data: bytes) -> bytes:
        """Keep a document's bytes and return their SHA-256."""
        digest = hashlib.sha256(data).digest()
        blob = self._blob(digest)
        try:
            if blob.read_bytes() == data:
                return digest
        except FileNotFoundError:
            blob.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(blob, Path):
            draft = blob.with_name(f"{blob.name}.{secrets.token_hex(4)}")
            draft.write_bytes(data)
            os.replace(draft, blob)
        else:
            blob.write_bytes(data)
        return digest

    def get_blob(self, content_hash: bytes) -> bytes:
        """Return the bytes of a hash. Raises `LostBytes` when they are gone or damaged."""
        try:
            data = self._blob(content_hash).read_bytes()
        except FileNotFoundError as error:
            raise LostBytes("its stored bytes are gone; they are read from the source again") from error
        if hashlib.sha256(data).digest() != content_hash:
            raise LostBytes("its stored bytes are damaged; they are read from the source again")
        return data

    def blobs(self, before: datetime) -> Iterator[bytes]:
        """Yield the hash of every blob that was written before a time, and remove drafts that a crash left."""
        parent = self.root / "blobs"
        for folder in parent.iterdir() if parent.exists() else ():
            for blob in folder.iterdir():
                if _modified_at(blob) >= before:
                    continue
                if len(folder.name + blob.name) == 64:
                    yield bytes.fromhex(folder.name + blob.name)
                else:
                    blob.unlink(missing_ok=True)

    def remove_blobs(self, hashes: Iterable[bytes]) -> int:
        """Delete blobs; returns how many."""
        count = 0
        for content_hash in hashes:
            self._blob(content_hash).unlink(missing_ok=True)
            count += 1
        return count

    def _blob(self, content_hash: bytes) -> UPath:
        name = content_hash.hex()
        return self.root.joinpath("blobs", name[:2], name[2:])


def _modified_at(file: UPath) -> datetime:
    """Return when a file was written; not every file system tells it by stat()."""
    if isinstance(file, Path):
        return datetime.fromtimestamp(file.stat().st_mtime, UTC)
    return file.fs.modified(file.path)
