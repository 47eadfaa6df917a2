"""The recipe: everything that decides how a document becomes rows.

Same sources and same recipe give the same index. A generation of the index is built with one recipe
and keeps it; a setting that would change it calls for a new generation.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

KEYWORDS_VERSION = 2
"""Raise it with every change of ``sql/functions/10_terms.sql`` that can alter the terms or weights of a chunk."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Versions and settings of parser, chunker, embedding model and keyword search.

    `model` names the weights and their preparation, not only a family; `parsers` are what other packages
    bring, by name and version.
    """

    parser_version: int
    parsers: tuple[str, ...]
    chunker_version: int
    max_tokens: int
    window_tokens: int
    model: str
    dimensions: int
    keywords_version: int
    language: str

    def as_json(self) -> str:
        """Return the recipe as canonical JSON."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @property
    def fingerprint(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.as_json().encode()).hexdigest()[:16]
