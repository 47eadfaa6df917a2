"""How fast local models embed, on threads that share a session and in processes that have one each."""

import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import product
from multiprocessing import get_context
from typing import Protocol

import numpy as np
import psutil

from benchmarks.corpus import sentence
from benchmarks.options import Options
from benchmarks.precision import models_here
from benchmarks.report import Report, median, say
from rag_pipeline.embeddings import Embedder, Vector, in_order, open_embedder
from rag_pipeline.embeddings.weights import PACKAGED
from rag_pipeline.settings import Embedding

TITLE = "The local embedding model"
_TOKENS = 200
_WORKERS = (1, 2)
_WARM_UP = 4
_MEGABYTE = 2**20


def run(report: Report, options: Options) -> None:
    """Embed the same texts in all ways, in turns; then with each model on all cores."""
    (default,) = PACKAGED
    texts = _texts(_embedder(default), 2 if options.quick else 100)
    _ways(report, default, texts, options)
    _models(report, texts, options)


class _Way(Protocol):
    def __call__(self, texts: Sequence[str]) -> list[Vector]: ...


@dataclass(slots=True)
class _Measured:
    """What one way took and brought: seconds to begin, texts a second of each repeat, vectors of the last, MB."""

    seconds: float
    rates: list[float] = field(default_factory=list)
    vectors: list[Vector] = field(default_factory=list)
    memory: float = 0


def _ways(report: Report, model: str, texts: Sequence[str], options: Options) -> None:
    """Compare threads that share one session with processes that have one each."""
    found: dict[tuple[str, int], _Measured] = {}
    with ExitStack() as opened:
        ways: dict[tuple[str, int], tuple[_Way, _Memory]] = {}
        for workers, (name, way) in product(_WORKERS, (("threads", _threads), ("processes", _processes))):
            say(f"{workers} {name}")
            started = time.perf_counter()
            ways[name, workers] = opened.enter_context(way(model, workers))
            ways[name, workers][0](texts[:_WARM_UP])
            found[name, workers] = _Measured(time.perf_counter() - started)
        for number, (key, (embed, _)) in product(range(options.repeats), ways.items()):
            say(f"repeat {number + 1}, {key[1]} {key[0]}")
            started = time.perf_counter()
            found[key].vectors = embed(texts)
            found[key].rates.append(len(texts) / (time.perf_counter() - started))
        for key, (_, memory) in ways.items():
            found[key].memory = memory()
    first = found["threads", 1].vectors
    equal = all(np.array_equal(first, each.vectors) for each in found.values())
    report.goal("vectors in all four ways", "equal bits", "equal" if equal else "different", "", equal)
    gain = median(found["threads", 2].rates) / median(found["threads", 1].rates)
    report.goal("two threads to one", "≥ 1.8", gain, "", gain >= 1.8)
    report.text(
        f"`{_embedder(model).model}` on {len(texts)} texts of about {_TOKENS} tokens, a text a call, in two ways: "
        "threads that share one session, and processes (spawned) that load one each; all in turns, median of "
        f"{options.repeats}. The seconds to begin are those until the first {_WARM_UP} texts are embedded, the "
        "megabytes resident memory of the model's processes less what they had before."
    )
    report.table(
        ("way", "workers", "texts/s", "tokens/s", "seconds to begin", "MB"),
        [
            (name, workers, median(way.rates), _TOKENS * median(way.rates), way.seconds, way.memory)
            for (name, workers), way in found.items()
        ],
    )


@contextmanager
def _threads(model: str, workers: int) -> Iterator[tuple[_Way, "_Memory"]]:
    """One process that only does this, so that its memory is the model's."""
    with _pool(1) as pool:
        before = pool.submit(_resident).result()
        pool.submit(_load, model, workers).result()
        yield (
            lambda texts: pool.submit(_embed_all, list(texts)).result(),
            lambda: pool.submit(_resident).result() - before,
        )


@contextmanager
def _processes(model: str, workers: int) -> Iterator[tuple[_Way, "_Memory"]]:
    """As many processes of one thread, which take a text at a time."""
    with _pool(1) as pool:
        before = pool.submit(_resident).result()
    with ProcessPoolExecutor(workers, get_context("spawn"), _load, (model, 1)) as pool:
        yield (
            lambda texts: list(pool.map(_embed_one, texts)),
            lambda: sum(_resident_of(pid) - before for pid in list(pool._processes)),
        )


class _Memory(Protocol):
    def __call__(self) -> float: ...


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, get_context("spawn"))


_loaded: list[Embedder] = []
"""The model of a worker process."""


def _load(model: str, threads: int) -> None:
    _loaded[:] = [_embedder(model, threads)]


def _embed_all(texts: list[str]) -> list[Vector]:
    return in_order(_loaded[0], texts)


def _embed_one(text: str) -> Vector:
    return _loaded[0].embed_query(text)


def _resident() -> float:
    return _resident_of(None)


def _resident_of(pid: int | None) -> float:
    return psutil.Process(pid).memory_info().rss / _MEGABYTE


def _embedder(model: str, threads: int | None = None) -> Embedder:
    return open_embedder(Embedding.model_validate({"model": model, "processes": threads}))


def _models(report: Report, texts: Sequence[str], options: Options) -> None:
    """Measure all models alike, in turns."""
    rates: dict[str, list[float]] = {}
    embedders = [_embedder(model) for model in models_here()]
    for embedder in embedders:
        in_order(embedder, texts[:_WARM_UP])
    for number, embedder in product(range(options.repeats), embedders):
        say(f"repeat {number + 1}, {embedder.model}")
        started = time.perf_counter()
        in_order(embedder, texts)
        rates.setdefault(embedder.model, []).append(len(texts) / (time.perf_counter() - started))
    report.text(f"The models beside each other, on the same texts and {psutil.cpu_count()} threads, in turns:")
    report.table(("model", "texts/s"), [(f"`{model}`", median(each)) for model, each in rates.items()])


def _texts(embedder: Embedder, count: int) -> list[str]:
    """Return texts of just over `_TOKENS` tokens."""
    texts: list[str] = []
    for number in range(count):
        generator = random.Random(number)
        text = sentence(generator, 10)
        while embedder.count_tokens([text])[0] < _TOKENS:
            text += " " + sentence(generator, 3)
        texts.append(text)
    return texts
