"""A model in this process: packaged, by its name on the hub, or a folder; run by fastembed on all cores.

Where the weights come from, and how they are checked: `rag_pipeline.embeddings.weights`.

Dynamic int8 scales activations by the whole padded batch, so a text's vector would depend on its
neighbours. Each text is therefore its own batch; speed comes from threads that share one session
(onnxruntime lets go of Python's lock; measured beside processes: docs/decisions/0004-threads-for-the-local-model.md).
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import psutil

from rag_pipeline.embeddings import Batch, Reserve, Sample, Vector, in_blocks, unbounded
from rag_pipeline.embeddings.weights import Weights, find_weights
from rag_pipeline.embeddings.weights.hub import OWN
from rag_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from fastembed import TextEmbedding
    from tokenizers import Tokenizer

_registering = Lock()


class LocalEmbedder:
    """A local model. Loading takes half a second or more and happens at the first use of each part."""

    def __init__(self, model: str, threads: int | None = None, weights: Weights | None = None) -> None:
        """Take given weights, or find those of that name. Raises `ConfigurationError` when there are none."""
        self._name = model
        self._weights = weights or find_weights(model)
        self._threads = threads or psutil.cpu_count() or 1
        self.dimensions = self._weights.dimensions
        self.model = f"{self._name}@{self._weights.digest}/{self.dimensions}"

    @cached_property
    def _files(self) -> Path:
        """The model's folder, its files checked."""
        return self._weights.folder()

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        """The model's own tokenizer, without the truncation and padding that its file asks for."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._files / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def room(self) -> int | None:
        """How many tokens of a text are read, special tokens not counted; None where the files do not say it.

        It is the bound that fastembed takes from the same file: what goes beyond it is cut off without a word.
        """
        said = json.loads((self._files / "tokenizer_config.json").read_bytes())
        bounds = [said.get(key) for key in ("model_max_length", "max_length")]
        known = [bound for bound in bounds if isinstance(bound, int) and bound > 0]
        return min(known) - self._tokenizer.num_special_tokens_to_add(False) if known else None

    @cached_property
    def _session(self) -> "TextEmbedding":
        from fastembed import TextEmbedding

        folder = str(self._files)
        name = self._name if self._weights.pooling is None else self._registered()
        try:
            return TextEmbedding(name, specific_model_path=folder, threads=1)
        except Exception as error:  # whatever the tokenizer or the runtime raise
            raise ConfigurationError(f"embedding.model: {folder} cannot be loaded: {error}") from error

    def _registered(self) -> str:
        """Tell fastembed of a model that it does not know, once a process; returns the name that it has there."""
        from fastembed import TextEmbedding
        from fastembed.common.model_description import ModelSource, PoolingType

        weights = self._weights
        pooling = {
            "cls": PoolingType.CLS,
            "mean": PoolingType.MEAN,
            "last": PoolingType.LAST_TOKEN,
            "none": PoolingType.DISABLED,
        }
        name = f"{OWN}{self.model}"
        with _registering:
            if not any(known["model"] == name for known in TextEmbedding.list_supported_models()):
                TextEmbedding.add_custom_model(
                    model=name,
                    pooling=pooling[weights.pooling or "none"],
                    normalization=True,
                    sources=ModelSource(hf=self._name),
                    dim=self.dimensions,
                    model_file=weights.model_file,
                )
        return name

    def count_tokens(self, texts: list[str]) -> list[int]:
        """Return the number of word pieces of each text."""
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(texts, add_special_tokens=False)]

    def embed(self, texts: Iterable[str], reserve: Reserve = unbounded, known: int = 0) -> Iterator[Batch]:
        """Yield unit vectors in order, a block at a time, computed on all cores; a few are in flight at a time."""
        return in_blocks(texts, self._each, self.count_tokens)

    def _each(self, texts: Iterable[str]) -> Iterator[Vector]:
        _ = self._session  # loaded here, by one thread
        with ThreadPoolExecutor(self._threads) as pool:
            waiting: deque[Future[Vector]] = deque()
            for text in texts:
                waiting.append(pool.submit(self.embed_query, text))
                if len(waiting) > 2 * self._threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def embed_query(self, text: str) -> Vector:
        """Return the vector of one text.

        Raises `ConfigurationError` when the model gives no vector of the length that its files or settings promise.
        """
        try:
            vector = np.asarray(next(iter(self._session.embed([text], batch_size=1))), dtype=np.float32)
        except ValueError as error:
            raise ConfigurationError(f"embedding.pooling: {self._name} cannot be pooled so: {error}") from error
        if vector.shape != (self.dimensions,):
            raise ConfigurationError(
                f"embedding.model: {self._name} gives vectors of shape {vector.shape}, not of {self.dimensions} "
                "numbers; correct embedding.pooling or embedding.dimensions"
            )
        return _unit(vector)

    def sample(self, reserve: Reserve = unbounded) -> Sample | None:
        """Return nothing: the files of the model are checked."""
        return None


def _unit(vector: Vector) -> Vector:
    """Return a vector of length one; some models that fastembed knows leave their vectors as they come."""
    length = np.linalg.norm(vector)
    return vector if abs(length - 1) < 1e-3 or length == 0 else (vector / length).astype(np.float32)
