"""What kind a document is: by its first bytes where they leave no doubt, else as declared, else by its name.

Promises: the same answer for the same input; only the head and, of a zip archive, the tail are read; a document
that is declared to be text is never taken for another kind of text, save plain text, which may turn out to be
a transcript, and plain text of a name that says nothing. Binary data that nothing here can read is refused.
"""

import re
import struct

from rag_pipeline.documents.canonical import canonical
from rag_pipeline.errors import DocumentError
from rag_pipeline.plugins import PARSERS, plugins
from rag_pipeline.sources import media_types as types
from rag_pipeline.sources.media_types import media_type

HEAD = 64 * 1024
"""Bytes of a document that are looked at, at most, from its start."""

_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127}")
_UNKNOWN = ("", "application/octet-stream", "binary/octet-stream")
_ZIP = "application/zip"
_OLE2 = "application/x-ole-storage"
_SIGNATURES = {
    "application/x-7z-compressed": rb"7z\xbc\xaf\x27\x1c",
    "application/gzip": rb"\x1f\x8b\x08",
    "application/x-bzip2": rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)",
    "application/x-xz": rb"\xfd7zXZ\x00",
    "application/zstd": rb"\x28\xb5\x2f\xfd",
    "application/vnd.rar": rb"Rar!\x1a\x07",
    "application/x-tar": rb".{257}ustar[\x00 ]",
    "image/png": rb"\x89PNG\r\n\x1a\n",
    "image/jpeg": rb"\xff\xd8\xff",
    "image/gif": rb"GIF8[79]a.{0,200}\x00",
    "image/tiff": rb"II\*\x00|MM\x00\*",
    "image/webp": rb"RIFF.{4}WEBP",
    "image/x-icon": rb"\x00\x00\x01\x00.\x00",
    "audio/wav": rb"RIFF.{4}WAVE",
    "audio/mpeg": rb"ID3[\x02-\x04]|\xff[\xfb\xf3\xf2]",
    "audio/ogg": rb"OggS\x00",
    "audio/flac": rb"fLaC\x00",
    "video/mp4": rb"\x00\x00.{2}ftyp",
    "video/x-matroska": rb"\x1a\x45\xdf\xa3",
    "font/woff": rb"wOF[F2](?:\x00|OTTO|true)",
    "font/ttf": rb"\x00\x01\x00\x00\x00|OTTO\x00|ttcf\x00",
    "application/x-elf": rb"\x7fELF",
    "application/x-mach-binary": rb"[\xce\xcf]\xfa\xed\xfe|\xfe\xed\xfa[\xce\xcf]",
    "application/java-vm": rb"\xca\xfe\xba\xbe",
    "application/vnd.microsoft.portable-executable": rb"MZ.{0,62}\x00",
    "application/wasm": rb"\x00asm",
    "application/vnd.sqlite3": rb"SQLite format 3\x00",
    "application/vnd.apache.parquet": rb"PAR1[\x15\x00]",
    "application/rtf": rb"\{\\rtf1?",
    _OLE2: rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    _ZIP: rb"PK(?:\x03\x04|\x05\x06|\x07\x08)",
    types.PDF: rb"\s{0,64}%PDF-[0-9]",
}
_SIGNATURE = re.compile(rb"|".join(b"(%b)" % pattern for pattern in _SIGNATURES.values()), re.DOTALL)
_KINDS = tuple(_SIGNATURES)

_OFFICE = {b"word/": types.DOCX, b"ppt/": types.PPTX, b"xl/": types.XLSX}
_ENTRY = struct.Struct("<4s24xHHH12x")  # of a zip's central directory: mark, lengths of name, extra field and comment
_END = struct.Struct("<4s8xII2x")  # its last record: mark, size and offset of the directory
_MAX_ENTRIES = 2_000

_VTT = re.compile(r"WEBVTT(?:[ \t\n]|\Z)")
_HTML = re.compile(r"(?:\s++|<\?xml[^>]*+>|<!--(?>.*?-->))*+<(?:!doctype\s++html|html)[\s>]", re.DOTALL | re.IGNORECASE)
_SHEBANG = re.compile(
    r"#![ \t]*(?:\S*/)?(?:env[ \t]++(?:-\S*[ \t]++)*)?"
    r"(?:(?P<python>python)|(?P<shell>(?:ba|da|k|z)?sh)|(?P<ruby>ruby)|(?P<node>node))[\d.]*+(?:\s|\Z)"
)
_INTERPRETERS = {
    "python": "text/x-python",
    "shell": "text/x-shellscript",
    "ruby": "text/x-ruby",
    "node": "text/javascript",
}


def detect(data: bytes, declared: str | None, name: str = "") -> str:
    """Return the media type by which `data` is to be parsed, in lower case and without parameters.

    `declared` is what its place says of it, `name` the path or title whose ending decides without that. A
    declared type for which another package brings a parser is believed as it is. Raises `DocumentError` that
    begins with "skipped: binary" for data that is known or seen to be binary and that no parser reads.
    """
    given = (declared or "").partition(";")[0].strip().lower()
    if not _MEDIA_TYPE.fullmatch(given):
        given = ""
    if given == types.TICKET:
        return given
    named = media_type(name)
    kind = (named or "") if given in _UNKNOWN else given
    if found := _SIGNATURE.match(data, 0, HEAD):
        return _binary(_KINDS[(found.lastindex or 1) - 1], data, kind)
    return _text(data, kind, named) if kind in ("", types.TEXT) else kind


def _binary(kind: str, data: bytes, expected: str) -> str:
    """Decide about data whose signature is known."""
    further = plugins(PARSERS)
    if expected in further:
        return expected
    if kind == _ZIP:
        kind = _office(data) or kind
    if kind in (_ZIP, _OLE2) and expected in _OFFICE.values():
        return expected  # its parser says what is wrong with it
    if kind == types.PDF or kind in _OFFICE.values() or kind in further:
        return kind
    if kind == _OLE2:
        raise DocumentError("skipped: binary (an Office file of before 2007); save it as .docx, .pptx or .xlsx")
    raise DocumentError(f"skipped: binary ({kind}); exclude it")


def _office(data: bytes) -> str | None:
    """Return which kind of Office file a zip archive is, by the names in its central directory; None for no such."""
    end = data.rfind(b"PK\5\6", max(0, len(data) - HEAD - _END.size))
    if end < 0 or len(data) - end < _END.size:
        return None
    _, size, offset = _END.unpack_from(data, end)
    position = end - size if size <= end else offset  # some writers put bytes before the archive
    for _ in range(_MAX_ENTRIES):
        if position + 46 > end:
            break
        mark, name_length, extra, comment = _ENTRY.unpack_from(data, position)
        if mark != b"PK\1\2":
            break
        name = data[position + 46 : position + 46 + min(name_length, 8)]
        for folder, kind in _OFFICE.items():
            if name.startswith(folder):
                return kind
        position += 46 + name_length + extra + comment
    return None


def _text(data: bytes, kind: str, named: str | None) -> str:
    """Decide about what is declared to be plain text, or not declared at all."""
    head = data[:HEAD]
    if len(head) < len(data):
        head = head[: head.rfind(b"\n") + 1] or head  # rather not in the middle of a character
    try:
        text = canonical(head)
    except DocumentError as error:
        if kind:
            return kind  # its parser sees the whole, and says what is wrong
        raise DocumentError(f"skipped: binary ({error})") from error
    if text.startswith("---"):
        return types.TEXT  # front matter may restrict access; only parsers of prose read it
    if _VTT.match(text) and "-->" in text:
        return types.VTT
    if not named:
        if _HTML.match(text):
            return types.HTML
        if text.startswith("#!"):
            shebang = _SHEBANG.match(text)
            return _INTERPRETERS[shebang.lastgroup or ""] if shebang else types.SOURCE
    from rag_pipeline.documents.transcript import looks_like_turns

    return types.TRANSCRIPT if looks_like_turns(text) else types.TEXT
