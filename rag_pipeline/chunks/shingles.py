"""What a chunk says, as a set of hashes: two texts that say nearly the same share most of them.

A shingle is five words in a row. Case, punctuation, line breaks and compatible spellings (ligatures, full
width) do not count. Where a script puts no blanks between words, every letter counts as a word.

The hashes are the same in every process and on every machine. They are stored with the chunk: raise
`CHUNKER_VERSION` with every change of what this module computes.
"""

import re
from hashlib import blake2b
from unicodedata import normalize

import numpy as np

_WORD_BYTES = bytes(
    byte if byte >= 0x80 or chr(byte).isalnum() or chr(byte) == "_" else 0x20 for byte in bytes(range(256)).lower()
)
"""For each byte of UTF-8 what it is in a word: lower case, or a blank where it ends one."""

_FOREIGN_SEPARATOR = re.compile(r"[^\w\x00-\x7f]")
_BLANKLESS_LETTER = re.compile(
    "[\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Myanmar, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]"  # Han
)

# One random odd number for each word of a shingle: the hash of a shingle is the upper half of the sum of its
# words' hashes, each times the number of its place, modulo 2 ** 64.
_FACTORS = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F, 0xE7037ED1A0B428DB],
    dtype=np.uint64,
)
SHINGLE_WORDS = len(_FACTORS)
"""Words of a shingle; a text with fewer is one shingle."""

_HALF = np.uint64(32)
_REMEMBERED = 100_000


class _WordHashes(dict[bytes, bytes]):
    """The hash of each word, computed at its first use; all are forgotten when there are too many."""

    def __missing__(self, word: bytes) -> bytes:
        if len(self) >= _REMEMBERED:
            self.clear()
        value = self[word] = blake2b(word, digest_size=8).digest()
        return value


_hash_of = _WordHashes()


def shingles(text: str) -> bytes:
    """Return the distinct hashes of a text's shingles: 32 bits each, little endian, ascending; at least one.

    A text without any word is one shingle of its visible characters.
    """
    words = _words(text) or ["".join(text.split()).encode("utf-8", "surrogatepass")]
    hashes = np.frombuffer(b"".join([_hash_of[word] for word in words]), dtype="<u8")
    sums = np.correlate(hashes, _FACTORS[: len(words)], "valid")
    found = (sums >> _HALF).astype("<u4")
    found.sort()
    first = np.ones(len(found), dtype=bool)
    np.not_equal(found[1:], found[:-1], out=first[1:])
    return found[first].tobytes()


def _words(text: str) -> list[bytes]:
    """The words of a text in lower case, as UTF-8."""
    if not text.isascii():
        text = _FOREIGN_SEPARATOR.sub(" ", normalize("NFKC", text).lower())
    if not text.isascii():
        text = _BLANKLESS_LETTER.sub(r" \g<0> ", text)
    return text.encode("utf-8", "surrogatepass").translate(_WORD_BYTES).split()
