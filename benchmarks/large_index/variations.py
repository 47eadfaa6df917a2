"""Pages made of varied passages, and the vectors of their chunks; the same for the same number everywhere.

The heading of a part names it by one word, so that the vector of a chunk can be made from its text alone, as
an embedding model makes it.
"""

import hashlib
import json
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.large_index.passages import Passages, one_line
from rag_pipeline.embeddings import Batch, Reserve, Sample, Vector, in_blocks, unbounded

PARTS = 5
"""Parts of a page; nearly all become one chunk each."""

_NOISE = 0.25
_MOST = 0.5
_FAR = 0.3
_SWAPPED = 0.3
_KEY = re.compile(r"\bk([0-9a-f]+)$")
_CHARACTERS_PER_TOKEN = 5


class Part(NamedTuple):
    """What a part is made of: a passage, another one, and that one's share, at most a half."""

    passage: int
    other: int
    share: float


@dataclass(frozen=True, slots=True)
class Variations:
    """All pages that can be made of some passages."""

    passages: Passages

    def parts(self, page: int) -> tuple[Part, ...]:
        """Return what the parts of a page are made of: all near one passage, so that a page has a topic."""
        generator = random.Random(f"page {page}")
        topic = self.passages.nearest[page % len(self.passages.titles)]
        return tuple(self._part(generator, topic) for _ in range(PARTS))

    def _part(self, generator: random.Random, topic: NDArray[np.int32]) -> Part:
        passage = int(generator.choice(topic))
        far = generator.random() < _FAR
        other = generator.choice(range(len(self.passages.titles)) if far else self.passages.nearest[passage])
        return Part(passage, int(other), generator.uniform(0, _MOST))

    def page(self, number: int, access: Sequence[str]) -> str:
        """Return a page as Markdown that only some principals may read."""
        parts = self.parts(number)
        title = self.passages.titles[number % len(self.passages.titles)]
        head = f"---\ntitle: {json.dumps(title, ensure_ascii=False)}\naccess: {json.dumps(list(access))}\n---"
        generator = random.Random(f"text {number}")
        texts = (f"## Part k{number * PARTS + index:x}\n\n{self._text(generator, p)}" for index, p in enumerate(parts))
        return "\n\n".join([head, *texts]) + "\n"

    def _text(self, generator: random.Random, part: Part) -> str:
        own, others = self.passages.sentences[part.passage], self.passages.sentences[part.other]
        words = " ".join(others).split()
        sentences: list[str] = []
        for sentence in own:
            if generator.random() < part.share:
                sentence = generator.choice(others)
            elif generator.random() < _SWAPPED:
                told = sentence.split()
                told[generator.randrange(len(told))] = generator.choice(words)
                sentence = " ".join(told)
            sentences.append(sentence)
        return one_line(" ".join(sentences)) or own[0]

    def vector(self, text: str) -> Vector:
        """Return the vector of a chunk's text to embed, whose first line ends with the name of its part."""
        key = _KEY.search(text.partition("\n")[0])
        if key is None:
            raise ValueError(f"not a chunk of a made-up page: {text[:80]!r}")
        page, index = divmod(int(key[1], 16), PARTS)
        passage, other, share = self.parts(page)[index]
        seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
        noise = np.random.default_rng(seed).standard_normal(self.passages.vectors.shape[1])
        mixed = (1 - share) * self.passages.vectors[passage] + share * self.passages.vectors[other]
        mixed = mixed + _NOISE * noise / np.linalg.norm(noise)
        return (mixed / np.linalg.norm(mixed)).astype(np.float32)

    def topics(self, pages: int) -> NDArray[np.float32]:
        """Return a unit vector a page: the mean of the passages that its parts are made of."""
        made_of = np.array([[part.passage for part in self.parts(number)] for number in range(pages)])
        means = self.passages.vectors[made_of].mean(axis=1)
        return means / np.linalg.norm(means, axis=1, keepdims=True)


class VariedEmbedder:
    """Stands for the model whose vectors are varied: it embeds made-up pages, at once, and nothing else."""

    def __init__(self, variations: Variations, model: str) -> None:
        self._variations = variations
        self.model = model
        self.dimensions = variations.passages.vectors.shape[1]

    def count_tokens(self, texts: list[str]) -> list[int]:
        """Estimate tokens by characters, generously, so that a part stays one chunk."""
        return [-(-len(text) // _CHARACTERS_PER_TOKEN) for text in texts]

    def embed(self, texts: Iterable[str], reserve: Reserve = unbounded, known: int = 0) -> Iterator[Batch]:
        """Yield the vectors in order, a block at a time."""
        return in_blocks(texts, lambda ahead: map(self._variations.vector, ahead), self.count_tokens)

    def embed_query(self, text: str) -> Vector:
        """Refuse: questions are embedded by the real model."""
        raise NotImplementedError("questions are embedded by the real model")

    def sample(self, reserve: Reserve = unbounded) -> Sample | None:
        """Return nothing: no service is asked."""
        return None
