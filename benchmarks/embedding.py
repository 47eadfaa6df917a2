"""How fast the packaged model embeds, and whether threads change what it says."""

import random
import time

import numpy as np

from benchmarks.corpus import sentence
from benchmarks.options import Options
from benchmarks.report import Report, median, say
from rag_pipeline.embeddings import in_order
from rag_pipeline.embeddings.local import LocalEmbedder
from rag_pipeline.embeddings.weights import PACKAGED

TITLE = "The local embedding model"
_TOKENS = 200


def run(report: Report, options: Options) -> None:
    """Embed the same texts with one thread and with two, in turns."""
    (model,) = PACKAGED
    embedders = {threads: LocalEmbedder(model, threads) for threads in (1, 2)}
    texts = _texts(embedders[1], 4 if options.quick else 100)
    rates: dict[int, list[float]] = {threads: [] for threads in embedders}
    vectors = {}
    for threads, embedder in embedders.items():
        vectors[threads] = in_order(embedder, texts[:4])
    for number in range(options.repeats):
        for threads, embedder in embedders.items():
            say(f"repeat {number + 1}, {threads} threads")
            started = time.perf_counter()
            vectors[threads] = in_order(embedder, texts)
            rates[threads].append(len(texts) / (time.perf_counter() - started))
    equal = np.array_equal(vectors[1], vectors[2])
    report.goal("vectors with one and with two threads", "equal bits", "equal" if equal else "different", "", equal)
    report.text(
        f"`{embedders[1].model}` on {len(texts)} texts of about {_TOKENS} tokens, a text a call; median of "
        f"{options.repeats}."
    )
    report.table(
        ("threads", "texts/s", "tokens/s"),
        [(str(threads), median(rate), _TOKENS * median(rate)) for threads, rate in rates.items()],
    )


def _texts(embedder: LocalEmbedder, count: int) -> list[str]:
    """Return texts of just over `_TOKENS` tokens."""
    texts: list[str] = []
    for number in range(count):
        generator = random.Random(number)
        text = sentence(generator, 10)
        while embedder.count_tokens([text])[0] < _TOKENS:
            text += " " + sentence(generator, 3)
        texts.append(text)
    return texts
