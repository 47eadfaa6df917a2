"""The recipe: everything that decides how a document becomes rows.

Same sources and same recipe give the same index. A generation of the index is built with one recipe
and keeps it; a setting that would change it calls for a new generation.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

KEYWORDS_VERSION = 2
"""Raise it with every change of ``sql/functions/10_terms.sql`` that can alter the terms or weights of a chunk."""

_CODE = ("layout", "parser_version", "parsers", "chunker_version", "keywords_version")
_NOT_COMPARED = "embedding"


@dataclass(frozen=True, slots=True)
class Difference:
    """A part of two recipes that is not alike: in the live generation, and as software and settings want it now."""

    part: str
    live: Any
    wanted: Any

    @property
    def by_software(self) -> bool:
        """Whether the software decides it, so that what made the live generation is there no more."""
        return self.part in _CODE

    def __str__(self) -> str:
        where = "in this version of rag-pipeline" if self.by_software else "in the settings"
        return f"{self.part} is {self.live!r} in the index and {self.wanted!r} {where}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Versions and settings of parser, chunker, embedding model and keyword search.

    `model` names the weights and their preparation, not only a family; `parsers` are what other packages
    bring, by name and version. `embedding` is how the model is opened: the settings that decide its vectors.
    It is not compared, because `model` says what comes of it: weights may move to another folder. Only
    `query_prefix`, which is in no stored vector, is not in that name.
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
    query_prefix: str = ""
    embedding: Mapping[str, Any] = field(default_factory=dict[str, Any], compare=False)

    @classmethod
    def of_json(cls, text: str) -> "Recipe":
        """Read what `as_json` wrote, in this version of the software or in another.

        What only the other knows is left out; of what only this one knows nothing is known: None.
        """
        stored = json.loads(text)
        values = {each.name: stored.get(each.name) for each in fields(cls)}
        values |= {"parsers": tuple(values["parsers"] or ()), "embedding": values["embedding"] or {}}
        values |= {"query_prefix": values["query_prefix"] or ""}
        return cls(**values)

    def as_json(self) -> str:
        """Return the recipe as canonical JSON."""
        return _canonical(asdict(self))

    @property
    def fingerprint(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the canonical JSON of what is compared."""
        compared = {name: value for name, value in asdict(self).items() if name != _NOT_COMPARED}
        return hashlib.sha256(_canonical(compared).encode()).hexdigest()[:16]

    def differences(self, wanted: "Recipe") -> tuple[Difference, ...]:
        """Say what is not alike in this recipe, of a generation, and the wanted one."""
        pairs = [
            (each.name, getattr(self, each.name), getattr(wanted, each.name))
            for each in fields(self)
            if each.name != _NOT_COMPARED
        ]
        return tuple(Difference(name, own, other) for name, own, other in pairs if own != other)


def _canonical(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, separators=(",", ":"))
