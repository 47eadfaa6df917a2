"""The prompt: instructions from a file, and documents as data that nothing written in one can end or imitate.

Each call draws a number for the borders of its documents and another for its citations. No document can know them, and
none is shown that holds them. Source and age stand in the border, where a document has no say; its title and its text
stand inside.
"""

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.query.excerpts import Excerpt
from rag_pipeline.query.plain import plain

_PACKAGED = Path(__file__).with_name("prompt.md")
_FORMAT = 1
"""Version of what is written below, beside the instructions; raise it with every change there."""
_LARGEST = 20_000
"""Characters of instructions."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked in one call. Citations of excerpt 1 are to be written ``[tag-1]``."""

    instructions: str
    question: str
    fence: str
    tag: str


class Instructions:
    """The instructions of the settings; `version` names them and the form in which documents are shown."""

    def __init__(self, text: str, origin: str) -> None:
        """Raises `ConfigurationError`, naming `origin`, when the text lacks a placeholder or has another one."""
        self._template = Template(text.strip())
        if len(text) > _LARGEST:
            raise ConfigurationError(f"{origin} has more than {_LARGEST:,} characters; shorten it")
        if not self._template.is_valid() or {*self._template.get_identifiers()} != {"fence", "tag"}:
            raise ConfigurationError(
                f"{origin}: it must say how documents are marked and cited, with $fence and $tag, and hold no other "
                "word with a $ before it; write $$ for the sign"
            )
        self.version = hashlib.sha256(f"{_FORMAT}\n{text.strip()}".encode()).hexdigest()[:12]

    @classmethod
    def read(cls, file: Path | None) -> "Instructions":
        """Read a file, or the packaged one. Raises `ConfigurationError`."""
        origin = f"[answers] prompt, {file}" if file else str(_PACKAGED)
        try:
            return cls((file or _PACKAGED).read_text("utf-8"), origin)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{origin} cannot be read: {error}") from error

    def prompt(self, question: str, excerpts: Sequence[Excerpt]) -> Prompt:
        """Return the prompt for a question about some excerpts."""
        asked = plain(question)
        fence, tag = _drawn(16, excerpts, asked), _drawn(4, excerpts, asked)
        documents = (line for excerpt in excerpts for line in _document(fence, excerpt))
        message = "\n".join([*documents, "", f"Question: {asked}"])
        return Prompt(self._template.substitute(fence=fence, tag=tag), message, fence, tag)


def _document(fence: str, excerpt: Excerpt) -> Iterator[str]:
    modified = f"{excerpt.modified_at:%Y-%m-%d}" if excerpt.modified_at else "unknown"
    stale = ' confirmed="not for long"' if excerpt.stale else ""
    yield f'<document {fence} {excerpt.number} source="{excerpt.source}" modified="{modified}"{stale}>'
    yield excerpt.name
    yield excerpt.text
    yield f"</document {fence}>"


def _drawn(size: int, excerpts: Sequence[Excerpt], question: str) -> str:
    """Draw a number of so many bytes that stands nowhere in what others wrote."""
    while True:
        number = secrets.token_hex(size)
        if not any(number in text for each in excerpts for text in (each.name, each.text, question)):
            return number
