"""What local models find in judged collections, and what is lost where their vectors are kept as halves."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution

import numpy as np
from numpy.typing import NDArray

from benchmarks.options import Options
from benchmarks.report import Report, say
from benchmarks.retrieval.judged import Collection, docs_qa, scifact
from benchmarks.retrieval.scoring import score
from rag_pipeline.embeddings import Embedder, in_order, open_embedder
from rag_pipeline.embeddings.weights import PACKAGED
from rag_pipeline.embeddings.weights.converted import CONVERTED
from rag_pipeline.settings import Embedding
from rag_pipeline_tests.handbook import DATA

TITLE = "Vectors: quality and precision"
_PUBLISHED = 0.713


def run(report: Report, options: Options) -> None:
    """Embed judged collections, and rank with vectors in full and in half precision."""
    if not all((DATA / name).exists() for name in ("scifact", "docs_qa")):
        report.text(
            "Skipped: no shared data: `scifact` and `docs_qa` are looked for in RAG_SHARED_DATA or ../shared/data."
        )
        return
    rows: list[tuple[str, ...]] = []
    for model, collection in _embedded(options):
        say(f"{model}: {collection.name}")
        embedder = open_embedder(Embedding.model_validate({"model": model}))
        ranked = _ranked(embedder, collection)
        figures = (f"{each:.4f}" for each in (ranked.full, ranked.half, ranked.kept))
        rows.append((f"`{embedder.model}`, {collection.name}", *figures))
        if model in PACKAGED:
            _goals(report, collection, ranked)
    report.text(
        "Whole documents as published figures have them (title and text, cut after 512 tokens), compared one by one; "
        "nDCG@10 by `ir_measures`. *Half* means that vectors of documents and questions are rounded to half precision "
        "before their inner product, as `halfvec` keeps them; *kept* is the share of the exact ten best that are still "
        "among the ten best. The multilingual model, whose weights have four bits, has the smaller collection alone."
    )
    report.table(("model, collection", "nDCG@10", "nDCG@10, half", "kept of ten"), rows)


def models_here() -> list[str]:
    """Return the default model and those of the extras that are installed."""
    return [*PACKAGED, *(name for name, model in CONVERTED.items() if _installed(model.distribution))]


def _installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True


def _embedded(options: Options) -> Iterator[tuple[str, Collection]]:
    """Yield what each model embeds."""
    default, *others = models_here()
    large, small = scifact(DATA / "scifact"), docs_qa(DATA / "docs_qa")
    if options.quick:
        large, small = large.sample(2, 8), small.sample(2, 8)
    yield default, large
    for model in (default, *others):
        yield model, small


def _goals(report: Report, collection: Collection, ranked: "_Ranked") -> None:
    """Judge the default model."""
    if collection.name == "SciFact":
        report.goal(
            "SciFact: nDCG@10 of the default",
            f"≥ {_PUBLISHED}, published in full precision",
            f"{ranked.full:.4f}",
            "",
            ranked.full >= _PUBLISHED,
        )
    lost = ranked.full - ranked.half
    report.goal(f"{collection.name}: nDCG@10 lost by halves", "≤ 0.001", f"{lost:+.4f}", "", lost <= 0.001)
    report.goal(f"{collection.name}: of the ten best, halves keep", "≥ 0.99", ranked.kept, "", ranked.kept >= 0.99)


@dataclass(frozen=True, slots=True)
class _Ranked:
    """nDCG@10 with vectors in full and in half precision, and the share of the ten best that the latter keep."""

    full: float
    half: float
    kept: float


def _ranked(embedder: Embedder, collection: Collection) -> _Ranked:
    passages = np.stack(in_order(embedder, collection.texts.values()))
    questions = np.stack([embedder.embed_query(question.text) for question in collection.questions])
    best = _ten_best(passages, questions)
    halves = _ten_best(_rounded(passages), _rounded(questions))
    kept = [len({*one} & {*other}) / len(one) for one, other in zip(best, halves, strict=True)]
    return _Ranked(_ndcg(collection, best), _ndcg(collection, halves), sum(kept) / len(kept))


def _rounded(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round to half precision; sums are in single precision, as pgvector has them."""
    return vectors.astype(np.float16).astype(np.float32)


def _ten_best(passages: NDArray[np.float32], questions: NDArray[np.float32]) -> list[list[int]]:
    return np.argsort(-(questions @ passages.T), axis=1, kind="stable")[:, :10].tolist()


def _ndcg(collection: Collection, best: list[list[int]]) -> float:
    ids = list(collection.texts)
    rankings = {
        question.id: [ids[place] for place in places]
        for question, places in zip(collection.questions, best, strict=True)
    }
    return score(collection.questions, rankings, ("nDCG@10",)).mean("nDCG@10")
