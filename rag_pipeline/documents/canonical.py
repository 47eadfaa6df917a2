"""Bytes become canonical text: the one spelling of a document that offsets, hashes and prompts rely on.

Promises: LF line ends only; no byte order mark; no control characters but tab and LF; no lone surrogates;
nothing invisible that could carry hidden instructions (tag characters, bidirectional controls, zero-width
characters), except joiners and selectors where a script or an emoji needs them. `clean` is idempotent and
linear. Text is not normalised to NFC: that would change code, and quotations would no longer match their
source; matching across normal forms is the search's business.
"""

import codecs
import re

from charset_normalizer import from_bytes

from rag_pipeline.errors import DocumentError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is a prefix of this one
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE = 64 * 1024
_CONTROL_BYTES = bytes({*range(0x20), 0x7F} - set(b"\t\n\v\f\r\b\x1b"))
_NON_ASCII = bytes(range(0x80, 0x100))
_MAX_DAMAGE = 0.10
# Encodings of dense non-ASCII text that are worth telling apart; sparse text is taken for windows-1252.
_ENCODINGS = ["cp1251", "koi8_r", "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr", "cp1253", "cp1255", "cp1256"]
_DENSE = 0.20
_FEW = 8  # too few bytes to tell one encoding from another

# Scripts whose spelling uses ZWJ and ZWNJ: Arabic, Syriac, N'Ko, the Indic ones, Myanmar, Khmer, Mongolian.
_JOINING = "\u0620-\u08ff\u0900-\u0dff\u1000-\u109f\u1780-\u17ff\u1800-\u180a\u1820-\u18af\ufb50-\ufdff\ufe70-\ufefc"
_EMOJI = "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_LINE_ENDS = re.compile("\r\n?|[\v\f\x85]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_SUSPECTS = re.compile(  # a quick look: every character that one of the rules below could concern
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ud800-\udfff"
    "\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e01ef]"
)
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f"  # controls
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # zero width, bidirectional
    "\U000e0000-\U000e007f]"  # tags
    f"|(?<![{_JOINING}])\u200c"
    f"|(?<![{_JOINING}{_EMOJI}])(?<![{_EMOJI}]\ufe0f)\u200d"
    f"|(?<=[{_EMOJI}])\u200d(?![{_EMOJI}])|(?<=[{_EMOJI}]\ufe0f)\u200d(?![{_EMOJI}])"
    f"|(?<![{_EMOJI}{_HAN}#*0-9])[\ufe00-\ufe0f]|(?<=[#*0-9])[\ufe00-\ufe0f](?!\u20e3)"
    f"|(?<![{_HAN}])[\U000e0100-\U000e01ef]"
)


def canonical(data: bytes, declared: str | None = None) -> str:
    """Return the canonical text of `data`. Raises `DocumentError` for binary or undecodable data.

    `declared` is the encoding that the document itself names; it is believed when the bytes are not UTF-8.
    """
    return clean(decode(data, declared))


def decode(data: bytes, declared: str | None = None) -> str:
    """Decode by byte order mark, else as UTF-8, else as declared, else as the most plausible legacy encoding.

    Undecodable bytes become U+FFFD. Raises `DocumentError` for binary data, and when more than a tenth of
    the characters would be lost.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            if encoding == "utf-8":
                _refuse_binary(data[len(mark) :][:_SAMPLE])
            return _tolerable(data[len(mark) :].decode(encoding, "replace"), encoding)
    _refuse_binary(data[:_SAMPLE])
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _decode_legacy(data, declared)


def clean(text: str) -> str:
    """Return `text` with LF line ends and without what the module's promise rules out."""
    if not _SUSPECTS.search(text):
        return text
    return _FORBIDDEN.sub("", _SURROGATES.sub("\ufffd", _LINE_ENDS.sub("\n", text)))


def _refuse_binary(sample: bytes) -> None:
    text = sample.translate(None, b"\r\n")  # the same share of controls whatever the line ends
    controls = len(text) - len(text.translate(None, _CONTROL_BYTES))
    if controls > 4 and controls > len(text) / 20:
        raise DocumentError("looks binary (NUL or control bytes); exclude it, or give UTF-16 text a byte order mark")


def _decode_legacy(data: bytes, declared: str | None) -> str:
    text = data.decode("utf-8", "replace")
    damage = text.count("\ufffd")
    intact = sum(not char.isascii() for char in text) - damage
    if intact >= damage:
        return _tolerable(text, "utf-8")  # UTF-8 with a few broken bytes, not another encoding
    encoding = _known(declared) or _plausible(data)
    return _tolerable(data.decode(encoding, "replace"), encoding)


def _known(declared: str | None) -> str | None:
    """The declared encoding, if it is one that extends ASCII and that Python can decode."""
    try:
        name = codecs.lookup(declared or "").name
        return name if b"<a>".decode(name, "replace") == "<a>" else None
    except (LookupError, ValueError):
        return None


def _plausible(data: bytes) -> str:
    first = next(index for index, byte in enumerate(data) if byte >= 0x80)
    sample = data[max(0, first - _SAMPLE // 2) :][:_SAMPLE]
    foreign = len(sample) - len(sample.translate(None, _NON_ASCII))
    dense = foreign > max(_DENSE * len(sample), _FEW)
    guess = from_bytes(sample, cp_isolation=_ENCODINGS).best() if dense else None
    return guess.encoding if guess else "utf-8" if dense else "cp1252"


def _tolerable(text: str, encoding: str) -> str:
    damage = text.count("\ufffd")
    if damage > 4 and damage > _MAX_DAMAGE * len(text):
        raise DocumentError(f"undecodable: {damage} of {len(text)} characters are lost as {encoding}; save it as UTF-8")
    return text
