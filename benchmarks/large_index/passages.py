"""The real passages that are varied: chunks of papers' abstracts, documentation and a handbook, with their vectors."""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.retrieval.judged import docs_qa, scifact
from rag_pipeline.chunks import split
from rag_pipeline.documents import parse
from rag_pipeline.embeddings import Embedder, in_order
from rag_pipeline.errors import DocumentError
from rag_pipeline.settings import Chunking
from rag_pipeline.sources.media_types import MARKDOWN
from rag_pipeline_tests.handbook import BUNDLE, DATA

NEIGHBOURS = 50
"""How many of the nearest passages a passage knows."""

_SENTENCE_END = re.compile(r"(?<=[.!?]) ")
_MARKUP = re.compile(r"^[^\w(]+")


@dataclass(frozen=True, slots=True)
class Passages:
    """Of each passage: its document's title, its sentences, its unit vector and the passages nearest to it.

    `vectors` is passages × dimensions; `nearest` is passages × `NEIGHBOURS` or fewer, itself first.
    """

    titles: tuple[str, ...]
    sentences: tuple[tuple[str, ...], ...]
    vectors: NDArray[np.float32]
    nearest: NDArray[np.int32]

    def save(self, file: Path, stamp: str) -> None:
        """Keep them in a file, with a stamp to know them by."""
        texts = json.dumps([self.titles, self.sentences])
        np.savez(file, vectors=self.vectors, nearest=self.nearest, texts=np.array(texts), stamp=np.array(stamp))

    @classmethod
    def load(cls, file: Path, stamp: str) -> "Passages | None":
        """Return what was saved with this stamp, if anything was."""
        with np.load(file) as saved:
            if str(saved["stamp"]) != stamp:
                return None
            titles, sentences = json.loads(str(saved["texts"]))
            return cls(tuple(titles), tuple(map(tuple, sentences)), saved["vectors"], saved["nearest"])


def read_passages(embedder: Embedder, at_most: int | None = None) -> Passages:
    """Cut all documents with the default settings and embed their chunks; or only the first few."""
    settings = Chunking.model_validate({})
    titles: list[str] = []
    sentences: list[tuple[str, ...]] = []
    texts: list[str] = []
    for name, page in _pages():
        try:
            document = parse(page.encode(), MARKDOWN, name)
        except DocumentError:
            continue
        for section in split(document, embedder.count_tokens, settings.max_tokens, settings.window_tokens):
            for chunk in section.chunks:
                line = one_line(chunk.text)
                if line:
                    titles.append(document.title)
                    sentences.append(tuple(_SENTENCE_END.split(line)))
                    texts.append(chunk.embed_text)
        if at_most and len(texts) >= at_most:
            break
    vectors = np.stack(in_order(embedder, texts))
    return Passages(tuple(titles), tuple(sentences), vectors, _nearest(vectors))


def one_line(text: str) -> str:
    """Return a text on one line that does not begin like markup."""
    return _MARKUP.sub("", " ".join(text.split()))


def _pages() -> Iterator[tuple[str, str]]:
    """Yield name and text of every document."""
    yield from docs_qa(DATA / "docs_qa").pages.items()
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder) / "handbook"
        subprocess.run(["git", "clone", "--quiet", "--branch", "main", BUNDLE, checkout], check=True)
        for file in sorted(checkout.rglob("*.md")):
            yield file.relative_to(checkout).as_posix(), file.read_text("utf-8")
    yield from scifact(DATA / "scifact").pages.items()


def _nearest(vectors: NDArray[np.float32]) -> NDArray[np.int32]:
    count = min(NEIGHBOURS, len(vectors))
    rows: list[NDArray[np.int32]] = []
    for start in range(0, len(vectors), 1000):
        similarities = vectors[start : start + 1000] @ vectors.T
        found = np.argpartition(-similarities, count - 1, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(similarities, found, axis=1), axis=1, kind="stable")
        rows.append(np.take_along_axis(found, order, axis=1).astype(np.int32))
    return np.concatenate(rows)
