"""Tokens counted here: cl100k_base, the byte pairs that all of OpenAI's embedding models read.

The table (``cl100k_base.tiktoken``, licence beside it) comes with this package, because what usually reads it
fetches it at the first use. For models of others the count is an estimate, from which chunks get their size.
"""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from rag_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from tiktoken import Encoding

_FILE = Path(__file__).with_name("cl100k_base.tiktoken")
_SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
"""How the encoding takes a text apart before it joins bytes; as much a part of it as the table."""


def count_tokens(texts: list[str]) -> list[int]:
    """Return the number of tokens of each text; what looks like a special token is read as the text that it is."""
    encoding = _encoding()
    return [len(encoding.encode_ordinary(text)) for text in texts]


@cache
def _encoding() -> "Encoding":
    """Read the table, which takes a fifth of a second. Raises `ConfigurationError` when it is not the released one."""
    from tiktoken import Encoding

    content = _FILE.read_bytes()
    if hashlib.sha256(content).hexdigest() != _SHA256:
        raise ConfigurationError(f"{_FILE} is not the released file; install rag-pipeline again")
    pairs = (line.split() for line in content.splitlines())
    return Encoding(
        "cl100k_base",
        pat_str=_PATTERN,
        mergeable_ranks={base64.b64decode(token): int(rank) for token, rank in pairs},
        special_tokens={},
    )
