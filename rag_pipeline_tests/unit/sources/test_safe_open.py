"""Reads are whole: what is returned existed at one moment."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rag_pipeline.errors import DocumentError
from rag_pipeline.sources import safe_open
from rag_pipeline.sources.safe_open import open_folder, open_root, read_file

SIZE = 8_000_000


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    descriptor = open_root(tmp_path)
    yield descriptor
    os.close(descriptor)


@contextmanager
def writer(step: Callable[[], object]) -> Iterator[None]:
    """Call `step` again and again in a thread until the block ends."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            step()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def seen_state(root: int, name: str, states: list[bytes]) -> bool:
    """Read a file that is being written to: it is in one of its states, or the reader was told that it changed."""
    try:
        data = read_file(root, name, 2 * SIZE)
    except DocumentError:
        return False
    assert data in states
    return True


def test_a_file_that_never_rests_is_refused(tmp_path: Path, root: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log").write_bytes(b"x" * SIZE)
    with open(tmp_path / "log", "ab", buffering=0) as file:
        interrupt(monkeypatch, [lambda: file.write(b"more")] * 3)
        with pytest.raises(DocumentError, match="changed while being read"):
            read_file(root, "log", 10 * SIZE)
    assert read_file(root, "log", 100 * SIZE) == (tmp_path / "log").read_bytes() == b"x" * SIZE + b"more" * 3


def interrupt(monkeypatch: pytest.MonkeyPatch, writes: list[Callable[[], object]]) -> None:
    """Let each coming read be interrupted half-way by the next of these writes, as long as there are any."""

    def read(file: int, limit: int) -> bytes:
        half = os.read(file, (limit - 1) // 2)
        if writes:
            writes.pop(0)()
        return half + os.read(file, limit - len(half))

    monkeypatch.setattr(safe_open, "_read", read)


def overwrite(file: Path, content: bytes) -> None:
    """Write in place, with nothing to show for it but the time of the change of the inode."""
    status = file.stat()
    with open(file, "r+b") as stream:
        stream.write(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_torn_read_is_read_again(tmp_path: Path, root: int, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page"
    page.write_bytes(b"aaaa")
    time.sleep(0.05)
    interrupt(monkeypatch, [lambda: overwrite(page, b"bbbb")])
    assert read_file(root, "page", SIZE) == b"bbbb"
    time.sleep(0.05)
    interrupt(monkeypatch, [lambda: page.write_bytes(b"longer")])
    assert read_file(root, "page", SIZE) == b"longer"
    time.sleep(0.05)
    interrupt(monkeypatch, [lambda letter=letter: overwrite(page, letter * 6) for letter in (b"c", b"d", b"e")])
    with pytest.raises(DocumentError, match="changed while being read"):
        read_file(root, "page", SIZE)


def test_writes_within_one_tick_of_the_clock_are_noticed(
    tmp_path: Path, root: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page"
    for _ in range(10):
        page.write_bytes(b"aaaa")
        interrupt(monkeypatch, [lambda: overwrite(page, b"bbbb")])
        assert read_file(root, "page", SIZE) == b"bbbb"


def test_a_file_replaced_by_renaming_is_read_whole(tmp_path: Path, root: int) -> None:
    states = [b"old" * 1_000_000, b"newer" * 1_000_000]
    (tmp_path / "page").write_bytes(states[0])
    pause = threading.Event()
    turn = 0

    def replace() -> None:
        nonlocal turn
        turn += 1
        (tmp_path / "page.new").write_bytes(states[turn % 2])
        (tmp_path / "page.new").replace(tmp_path / "page")
        pause.wait(0.05)

    with writer(replace):
        for _ in range(10):
            seen_state(root, "page", states)
    assert seen_state(root, "page", states)


def test_the_limit_holds_and_an_empty_file_is_empty(tmp_path: Path, root: int) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "empty").write_bytes(b"")
    assert read_file(root, "a", 5) == b"12345"
    assert read_file(root, "empty", 5) == b""
    with pytest.raises(DocumentError, match="5 bytes, more than the 4"):
        read_file(root, "a", 4)


def test_no_link_is_followed_on_the_way(tmp_path: Path, root: int) -> None:
    (tmp_path / "real").mkdir()
    os.symlink("real", tmp_path / "link")
    os.close(open_folder(root, "real"))
    with pytest.raises(OSError, match="link"):
        open_folder(root, "link")


def test_descriptors_are_closed(tmp_path: Path, root: int) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    before = len(os.listdir("/dev/fd"))
    os.close(open_folder(root, "a/b"))
    for path in ("a/x", "x", "a/b/c"):
        with pytest.raises(FileNotFoundError):
            open_folder(root, path)
    with pytest.raises(DocumentError):
        read_file(root, "a", 1)
    assert len(os.listdir("/dev/fd")) == before
