"""A zip archive from a stranger, looked over whole before anything in it is believed.

Promises: what passes `check` unpacks to at most 200 MB, at most 100 times its size, from at most 10,000 entries
whose directory tells the truth: every size is what comes out, no two entries share a name or bytes, none is
encrypted. Nothing is written anywhere, an archive inside the archive is not looked into, and memory stays small.
"""

import struct
import zlib
from io import BytesIO
from itertools import pairwise
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from rag_pipeline.errors import DocumentError

MAX_BYTES = 200_000_000
MAX_RATIO = 100
MAX_ENTRIES = 10_000
_FLOOR = 16_000_000  # an archive that unpacks to less may have any ratio: a sparse sheet compresses well
_OLE = bytes.fromhex("D0CF11E0A1B11AE1")
_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")
_ENCRYPTED = 0x1 | 0x40 | 0x2000  # flags: traditional, strong, and masked headers
_DIRECTORY_ENTRY = b"PK\x01\x02"
_LOCAL_HEADER = struct.Struct("<26xHH")
_SLICE = 16_384  # at most 17 MB come out of so many bytes


def check(data: bytes) -> None:
    """Raise `DocumentError` with the reason unless `data` is a zip archive that keeps the module's promise."""
    if data.startswith(_OLE):
        if _ENCRYPTED_STREAM in data:
            raise DocumentError("encrypted with a password; save it without one")
        raise DocumentError("a file of the Office of before 2007; save it as .docx, .pptx or .xlsx")
    if data.count(_DIRECTORY_ENTRY) > MAX_ENTRIES:
        raise DocumentError(f"a zip archive of more than {MAX_ENTRIES} entries; exclude it")
    try:
        with ZipFile(BytesIO(data)) as archive:
            entries = archive.infolist()
        _check_directory(entries, len(data))
        _check_content(entries, data)
    except (BadZipFile, NotImplementedError, struct.error, zlib.error, ValueError, OverflowError) as error:
        raise DocumentError(f"not a sound zip archive ({str(error)[:100]}); save it again") from error


def _check_directory(entries: list[ZipInfo], size: int) -> None:
    for entry in entries:
        if entry.flag_bits & _ENCRYPTED:
            raise DocumentError("encrypted with a password; save it without one")
        if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise BadZipFile(f"compression method {entry.compress_type}")
    total = sum(entry.file_size for entry in entries)
    if total > MAX_BYTES or total > max(_FLOOR, MAX_RATIO * size):
        raise DocumentError(
            f"unpacks from {size} to {total} bytes, more than {MAX_BYTES} or {MAX_RATIO} times its size; exclude it"
        )
    if len({entry.filename.casefold() for entry in entries}) < len(entries):
        raise BadZipFile("two entries of one name")


def _check_content(entries: list[ZipInfo], data: bytes) -> None:
    """Compare the directory with what is there: the entries' bytes, apart from each other, and their true lengths."""
    spans: list[tuple[int, int]] = []
    for entry in entries:
        name, extra = _LOCAL_HEADER.unpack_from(data, entry.header_offset)
        start = entry.header_offset + _LOCAL_HEADER.size + name + extra
        spans.append((entry.header_offset, start + entry.compress_size))
        if spans[-1][1] > len(data):
            raise BadZipFile("an entry that ends outside the archive")
    if any(end > start for (_, end), (start, _) in pairwise(sorted(spans))):
        raise BadZipFile("entries that overlap")
    for entry, (_, end) in zip(entries, spans, strict=True):
        length = entry.compress_size
        if entry.compress_type == ZIP_DEFLATED:
            length = _unpacked(memoryview(data)[end - entry.compress_size : end], entry.file_size)
        if length != entry.file_size:
            raise BadZipFile("an entry that is not as long as the directory says")


def _unpacked(data: memoryview, limit: int) -> int | None:
    """Return the unpacked length, None unless the stream ends with the data; stops once it is above `limit`."""
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    length = 0
    for start in range(0, len(data), _SLICE):
        length += len(engine.decompress(data[start : start + _SLICE]))
        if length > limit:
            break
    return length if engine.eof and not engine.unused_data else None
