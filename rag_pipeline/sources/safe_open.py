"""Opening what a listing found, and nothing else: no link is followed, nothing blocks, no read is torn.

Every path is opened one component at a time below a folder that is already open, so that no swap of a
folder for a link can lead outside the root.
"""

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rag_pipeline.errors import DocumentError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_PAUSES = (0.03, 0.2, 0.0)
_CLOCK_TICK_NS = 20_000_000
_BLOCK = 1 << 20


def open_root(path: Path) -> int:
    """Open the root of a source, which may itself be a link. Raises `OSError`."""
    return os.open(path, _FOLDER)


def open_folder(root: int, path: str) -> int:
    """Open the folder at a relative POSIX path below an open one; the empty path is the root. Raises `OSError`."""
    folder = os.open(".", _FOLDER, dir_fd=root)
    for name in path.split("/") if path else ():
        try:
            below = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
        finally:
            os.close(folder)
        folder = below
    return folder


def read_file(folder: int, name: str, limit: int) -> bytes:
    """Return a regular file's bytes as they were at one moment.

    The file's times and size are compared before and after the read, as backup programs do; a file that
    was written to meanwhile, or so shortly before that the clock could not tell, is read again.
    Raises `DocumentError` for anything but a regular file of at most `limit` bytes that holds still,
    `OSError` when the file cannot be opened or read.
    """
    for pause in _PAUSES:
        file = _open_file(folder, name)
        try:
            before = os.fstat(file)
            if not stat.S_ISREG(before.st_mode):
                raise DocumentError("is not a regular file; only regular files are read")
            if before.st_size > limit:
                raise DocumentError(
                    f"has {before.st_size:,} bytes, more than the {limit:,} allowed; split it or exclude it"
                )
            just_written = abs(time.time_ns() - before.st_ctime_ns) < _CLOCK_TICK_NS
            data = _read(file, before.st_size + 1)
            if not just_written and len(data) == before.st_size and _state(os.fstat(file)) == _state(before):
                return data
        finally:
            os.close(file)
        time.sleep(pause)
    raise DocumentError("changed while being read; the next refresh tries again")


@contextmanager
def file_stream(folder: int, name: str) -> Iterator[BinaryIO]:
    """Open a regular file of any size to be read from its beginning to its end.

    Raises what `read_file` raises, and `DocumentError` at the end when the file was written to meanwhile:
    what was read may then be of two versions.
    """
    with open(_open_file(folder, name), "rb") as file:
        before = os.fstat(file.fileno())
        if not stat.S_ISREG(before.st_mode):
            raise DocumentError("is not a regular file; only regular files are read")
        yield file
        if _state(os.fstat(file.fileno())) != _state(before):
            raise DocumentError("changed while being read; the next refresh reads it again")


def _open_file(folder: int, name: str) -> int:
    try:
        return os.open(name, _FILE, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise DocumentError("is a symbolic link; links are not followed") from error
        raise


def _read(file: int, limit: int) -> bytes:
    blocks: list[bytes] = []
    while limit > 0 and (block := os.read(file, min(limit, _BLOCK))):
        blocks.append(block)
        limit -= len(block)
    return b"".join(blocks)


def _state(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ctime_ns, status.st_mtime_ns, status.st_size
