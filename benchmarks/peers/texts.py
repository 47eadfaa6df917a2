"""What every system is given: documents with their access, one way to cut them, one embedder that counts."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rag_pipeline.embeddings import Batch, Reserve, unbounded
from rag_pipeline.embeddings.hashed import HashedEmbedder

ACCESS_FILE = ".access.toml"
_HEADING = re.compile(r"(?m)^(?=#{1,2} )")


@dataclass(frozen=True, slots=True)
class Page:
    """A document as it is now: its path below the corpus, its text and who may read it."""

    path: str
    text: str
    access: str


class CountingEmbedder(HashedEmbedder):
    """The deterministic embedder of this project; `texts` is how many it was asked for."""

    texts = 0

    def embed(self, texts: Iterable[str], reserve: Reserve = unbounded, known: int = 0) -> Iterator[Batch]:
        """Yield the vectors in order, a block at a time."""
        return super().embed(map(self._counted, texts), reserve, known)

    def _counted(self, text: str) -> str:
        self.texts += 1
        return text


def access_of(folder: Path) -> str:
    """Return who may read the documents of a folder."""
    file = folder / ACCESS_FILE
    return ",".join(tomllib.loads(file.read_text("utf-8"))["access"]) if file.exists() else "public"


def pages(root: Path) -> Iterator[Page]:
    """Read every document below `root`."""
    for folder in sorted(root.iterdir()):
        access = access_of(folder)
        for file in sorted(folder.glob("*.md")):
            yield Page(f"{folder.name}/{file.name}", file.read_text("utf-8"), access)


def cut(text: str) -> list[str]:
    """Split at headings: on this corpus the same pieces as this project's chunker makes."""
    return [piece.strip() for piece in _HEADING.split(text) if piece.strip()]
