"""Zip archives out of which more comes than they say, and others that nobody should open."""

import io
import struct
import subprocess
import sys
import zipfile
import zlib

import pytest

from rag_pipeline.documents.archive import MAX_BYTES, MAX_ENTRIES, check
from rag_pipeline.errors import DocumentError
from rag_pipeline_tests.costs import work
from rag_pipeline_tests.unit.documents.office import zipped

SMALL = {"a.xml": b"<a/>" * 100, "b/c.xml": b"<c/>" * 100}


def patched(data: bytes, name: str, offset: int, value: bytes, local: int | None = None) -> bytes:
    """An archive in whose directory an entry's field is another one, and if asked in its own header too."""
    changed = bytearray(data)
    place = data.rindex(name.encode()) - 46
    changed[place + offset : place + offset + len(value)] = value
    if local is not None:
        place = data.index(name.encode()) - 30
        changed[place + local : place + local + len(value)] = value
    return bytes(changed)


def overlapping() -> bytes:
    """An archive whose second entry lies inside the first one's bytes, as in bombs without nesting."""
    inner = zipped({"b": b"x" * 1000})
    local = inner[: inner.index(b"PK\x01\x02")]
    outer = zipped({"a": local, "b": b"x" * 1000}, zipfile.ZIP_STORED)
    archive = zipfile.ZipFile(io.BytesIO(inner)).getinfo("b")
    data = patched(outer, "b", 42, struct.pack("<I", outer.index(local)))
    return patched(patched(data, "b", 10, struct.pack("<H", 8)), "b", 20, struct.pack("<I", archive.compress_size))


def quine_like() -> bytes:
    """An archive in an archive, ten deep, each of which unpacks to ten of the next."""
    data = b"x" * 1000
    for _ in range(10):
        data = zipped({f"{number}.zip": data for number in range(10)})
    return data


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    "entries",
    [
        SMALL,
        {},
        {"empty.xml": b""},
        {"../../etc/passwd": b"x", "/absolute": b"y", "C:\\x": b"z"},
        {"sparse.xml": b" " * 10_000_000},
        {"word/": b"", "word/a": b"x"},
    ],
)
def test_what_is_sound_passes(entries, compression):
    check(zipped(entries, compression))
    check(b"something before it" + zipped(entries, compression))


def test_an_archive_inside_is_not_looked_into():
    check(quine_like())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a sound zip archive"),
        (b"PK\x03\x04 and nothing more", "not a sound zip archive"),
        (zipped(SMALL)[:-40], "not a sound zip archive"),
        (zipped(SMALL)[60:], "not a sound zip archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "before 2007"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "\0EncryptedPackage".encode("utf-16-le"), "encrypted with a password"),
        (patched(zipped(SMALL), "b/c.xml", 8, b"\x01\0", 6), "encrypted with a password"),
        (zipped(SMALL, zipfile.ZIP_BZIP2), "compression method 12"),
        (zipped({f"{number}": b"" for number in range(MAX_ENTRIES + 1)}), "more than 10000 entries"),
        (zipped({"a": b"x", "A": b"y"}), "two entries of one name"),
        (overlapping(), "overlap"),
        (patched(zipped(SMALL), "b/c.xml", 24, struct.pack("<I", 399), 22), "not as long as"),
        (patched(zipped(SMALL), "b/c.xml", 24, struct.pack("<I", 401), 22), "not as long as"),
        (patched(zipped(SMALL), "b/c.xml", 20, struct.pack("<I", 5), 18), "not as long as"),
        (patched(zipped(SMALL), "b/c.xml", 20, struct.pack("<I", 10**6), 18), "ends outside"),
        (patched(zipped(SMALL), "b/c.xml", 42, struct.pack("<I", 10**6)), "not a sound zip archive"),
        (patched(zipped(SMALL), "b/c.xml", 24, struct.pack("<I", MAX_BYTES), 22), "more than 200000000"),
    ],
)
def test_what_is_not_is_refused_with_the_reason(data, reason):
    with pytest.raises(DocumentError, match=reason):
        check(data)


def test_a_bomb_is_refused_by_its_ratio_and_by_its_size():
    bomb = zipped({"a.xml": b" " * 30_000_000})
    with pytest.raises(DocumentError, match="100 times its size; exclude it"):
        check(bomb)
    with pytest.raises(DocumentError, match="to 240000000 bytes"):
        check(zipped({f"{number}": bytes(60_000_000) for number in range(4)}))


def test_a_hundred_thousand_entries_are_counted_before_they_are_read():
    data = zipped({f"{number}": b"" for number in range(100_000)}, zipfile.ZIP_STORED)

    def refused() -> None:
        with pytest.raises(DocumentError, match="more than 10000 entries"):
            check(data)

    assert work(refused) < 10_000


def test_a_lie_about_sizes_costs_no_memory():
    """The stream unpacks to 300 MB, both headers say 100 bytes; what reads all of it would show in the peak."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join(stream.compress(bytes(1_000_000)) for _ in range(300)) + stream.flush()
    stored = zipped({"a": packed}, zipfile.ZIP_STORED)
    data = patched(patched(stored, "a", 10, b"\x08\0", 8), "a", 24, struct.pack("<I", 100), 22)
    code = (
        "import sys, resource; from rag_pipeline.documents.archive import check\n"
        "data = sys.stdin.buffer.read(); before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: check(data)\n"
        "except Exception as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    reason, growth = done.stdout.decode().splitlines()
    assert "not as long as the directory says" in reason
    assert int(growth) < 60_000 * (1024 if sys.platform == "darwin" else 1)
