"""Retrieval quality on collections that others have judged: each search alone, both fused, and re-ranked.

What is tuned is tuned on SciFact's training questions alone and shown; the figures are of other questions.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chunking.splitters import PEERS_PYTHON
from benchmarks.options import Options
from benchmarks.report import Report, say
from benchmarks.retrieval.indexed import DEEP, Indexed, indexed, ranked
from benchmarks.retrieval.judged import Collection, Question, docs_qa, scifact
from benchmarks.retrieval.scoring import Rankings, Scores, by_best_chunk, score
from benchmarks.retrieval.tuning import CANDIDATES, FUSIONS, WEIGHTS, ExactScores
from benchmarks.workbench import environment
from rag_pipeline.evaluation.bootstrap import interval
from rag_pipeline.query.hits import Candidate
from rag_pipeline.query.rerank import blended, open_reranker, passage_text
from rag_pipeline_tests.handbook import DATA

TITLE = "Retrieval"
_ROOT = Path(__file__).resolve().parents[2]
_KEYWORD, _VECTOR, _FUSED, _RERANKED = "keyword alone", "vector alone", "fused (default)", "fused, re-ranked"
_RERANK_WEIGHTS = (0.0, 0.1, 0.25, 0.5, 1.0)
_RERANK_QUESTIONS = 100
_RERANK_SECONDS = 600.0
_QUICK_DEPTH = 5
_BM25S = ((1.5, 0.75), (1.2, 0.75))


@dataclass(frozen=True, slots=True)
class _Judged:
    """How a collection is scored: metrics of the first documents, and those that want a longer list."""

    main: str
    metrics: tuple[str, ...]
    deep: tuple[str, ...] = ()


_SCIFACT = _Judged("nDCG@10", ("nDCG@10", "R@10"), ("R@100",))
_DOCS_QA = _Judged("RR@3", ("P@3", "R@3", "RR@3"))
_NAMES = {"R@10": "recall@10", "R@100": "recall@100", "R@3": "recall@3", "P@3": "precision@3", "RR@3": "MRR@3"}
_PUBLISHED = {
    "SciFact": {
        "published: BM25 (Anserini)": {"nDCG@10": 0.679},
        "published: bm25s": {"nDCG@10": 0.687},
        "published: bge-small-en-v1.5": {"nDCG@10": 0.713},
    },
    "docs_qa": {
        "published: vectors of voyage-2": {"P@3": 0.428, "R@3": 0.659, "RR@3": 0.737},
        "published: summaries, re-ranked by an LLM": {"P@3": 0.437, "R@3": 0.693, "RR@3": 0.865},
    },
}


def run(report: Report, options: Options) -> None:
    """Index both collections, one after the other; tune on the one that has training questions."""
    if not all((DATA / name).exists() for name in ("scifact", "docs_qa")):
        report.text(
            "Skipped: no shared data: `scifact` and `docs_qa` are looked for in RAG_SHARED_DATA or ../shared/data."
        )
        return
    collections = (scifact(DATA / "scifact"), docs_qa(DATA / "docs_qa"))
    if options.quick:
        collections = tuple(collection.sample(2, 12) for collection in collections)
    if not PEERS_PYTHON.exists():
        report.text("Skipped: bm25s. Make its environment with `benchmarks/peers/install.sh`.")
    for collection, judged in zip(collections, (_SCIFACT, _DOCS_QA), strict=True):
        with indexed(collection, _QUICK_DEPTH if options.quick else None) as index:
            rankings = _searched(index, judged)
            table = {name: _scored(collection, judged, found) for name, found in rankings.items()}
            _goals(report, collection, judged, table)
            _tables(report, index, judged, table)
            if collection.training:
                _fusion_tuning(report, index)
                _rerank_tuning(report, index)


_Found = Mapping[bool, Rankings]
"""Rankings for the first documents, and (True) for the metrics that want a longer list."""


def _searched(index: Indexed, judged: _Judged) -> dict[str, _Found]:
    """Ask all questions in every way."""
    questions = index.collection.questions
    found: dict[str, _Found] = {}
    for k1, b in _BM25S if PEERS_PYTHON.exists() else ():
        say(f"bm25s, k1 {k1}")
        rankings = _bm25s(index.collection, k1, b)
        found[f"bm25s, whole documents, k1 {k1}, b {b}"] = {False: rankings, True: rankings}
    for name, words in ((_KEYWORD, True), (_VECTOR, False)):
        say(name)
        rankings = ranked(questions, lambda question, words=words: index.half(question, words))
        found[name] = {False: rankings, True: rankings}
    for name, rerank in ((_FUSED, False), (_RERANKED, True)):
        say(name)
        found[name] = {False: index.searched(questions, rerank)}
        if judged.deep and not rerank:
            found[name] = {**found[name], True: index.searched(questions, rerank, deep=True)}
    return found


def _bm25s(collection: Collection, k1: float, b: float) -> Rankings:
    ids = list(collection.texts)
    job = {
        "texts": list(collection.texts.values()),
        "questions": [question.text for question in collection.questions],
        "k": DEEP,
        "k1": k1,
        "b": b,
    }
    finished = subprocess.run(
        [PEERS_PYTHON, "-m", "benchmarks.peers.bm25s_ranking"],
        cwd=_ROOT,
        env=environment(),
        input=json.dumps(job),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found = zip(collection.questions, json.loads(finished.stdout), strict=True)
    return {question.id: [ids[text] for text in texts] for question, texts in found}


def _scored(collection: Collection, judged: _Judged, found: _Found) -> Scores:
    scores = score(collection.questions, found[False], judged.metrics)
    deep = score(collection.questions, found[True], judged.deep) if judged.deep and True in found else Scores({})
    return Scores({**scores.values, **deep.values})


def _goals(report: Report, collection: Collection, judged: _Judged, table: Mapping[str, Scores]) -> None:
    means = {name: scores.mean(judged.main) for name, scores in table.items()}
    name, metric = collection.name, _NAMES.get(judged.main, judged.main)
    fused, halves = means[_FUSED], max(means[_KEYWORD], means[_VECTOR])
    peers = [means[peer] for peer in means if peer.startswith("bm25s")]
    if peers and judged is _SCIFACT:
        to_reach = max(peers) - 0.01
        reached = means[_KEYWORD] >= to_reach
        report.goal(
            f"{name}: {metric}, keyword alone", f"≥ {to_reach:.3f}, bm25s' best less 0.01", means[_KEYWORD], "", reached
        )
    report.goal(f"{name}: {metric}, fused", f"> {halves:.3f}, the better half", fused, "", fused > halves)
    if judged is _SCIFACT:
        report.goal(f"{name}: {metric}, default settings", "≥ 0.74", fused, "", fused >= 0.74)
    else:
        for metric, to_reach in (("P@3", 0.48), ("R@3", 0.76), ("RR@3", 0.91)):
            mean = table[_FUSED].mean(metric)
            report.goal(f"{name}: {_NAMES[metric]}, default settings", f"≥ {to_reach}", mean, "", mean >= to_reach)


def _tables(report: Report, index: Indexed, judged: _Judged, table: Mapping[str, Scores]) -> None:
    collection, retrieval = index.collection, index.settings.retrieval
    metrics = (*judged.metrics, *judged.deep)
    report.text(
        f"**{collection.name}**: {len(collection.pages):,} documents as Markdown files with their titles, "
        f"{index.chunks:,} chunks, {len(collection.questions):,} questions; indexed and searched with the default "
        f"settings, model `{index.embedder.model}`. Documents are ranked by their best chunk. *Re-ranked* means "
        f"`{retrieval.rerank_model}` over the first {retrieval.rerank_depth} chunks with weight "
        f"{retrieval.rerank_weight:g}; it may take as long as it needs. bm25s has whole documents, as the published "
        "figures have. Metrics by `ir_measures`."
        + (
            " For recall@100 a search brings 200 candidates and one hit a document, the rest as it is."
            if judged.deep
            else ""
        )
    )
    rows = [
        (name, *(f"{scores.mean(metric):.3f}" if metric in scores.values else None for metric in metrics))
        for name, scores in table.items()
    ]
    rows += [
        (name, *(f"{figures[metric]:.3f}" if metric in figures else None for metric in metrics))
        for name, figures in _PUBLISHED[collection.name].items()
    ]
    report.table((collection.name, *(_NAMES.get(metric, metric) for metric in metrics)), rows)
    others = [name for name in (_KEYWORD, _VECTOR, _RERANKED) if name in table]
    differences = [f"{name} {_difference(table[_FUSED], table[name], judged.main)}" for name in others]
    report.text(
        f"{_NAMES.get(judged.main, judged.main)} of the fused search less that of: {'; '.join(differences)} (95 % "
        "interval of a paired bootstrap over the questions)."
    )


def _difference(one: Scores, other: Scores, metric: str) -> str:
    pairs = zip(one.values[metric], other.values[metric], strict=True)
    low, high = interval([left - right for left, right in pairs])
    return f"{one.mean(metric) - other.mean(metric):+.3f} [{low:+.3f}, {high:+.3f}]"


def _fusion_tuning(report: Report, index: Indexed) -> None:
    """Try all fusions on the training questions, and ask the database the same with its defaults."""
    questions = index.collection.training
    say(f"exact scores of {len(questions)} training questions")
    exact = ExactScores.read(index, questions)
    rows: list[tuple[str, ...]] = []
    means: list[float] = []
    for candidates in CANDIDATES:
        pools = exact.pools(candidates)
        for name, fusion in FUSIONS.items():
            say(f"{name}, {candidates} candidates")
            tried = [_mean(exact.ranked(pools, fusion, weight), questions) for weight in WEIGHTS]
            rows.append((f"{name}, {candidates} candidates", *(f"{mean:.3f}" for mean in tried)))
            means += tried
    say("the same questions with the default settings")
    default = _mean(
        ranked(questions, lambda question: by_best_chunk(_documents(index, index.candidates(question)))), questions
    )
    lead = max(means) - default
    report.goal("training questions: nDCG@10, best fusion tried less the default", "≤ 0.003", lead, "", lead <= 0.003)
    retrieval = index.settings.retrieval
    report.text(
        f"What the fusion is chosen by: nDCG@10 on the {len(questions)} training questions of "
        f"{index.collection.name}, which no other figure here is measured with, by the weight of the vector. Every "
        "candidate has its exact score in both searches. A convex fusion adds normalised scores: z-scores over the "
        "candidates; from the least to the best candidate; or from the least that is possible (an opposite vector, no "
        f"word in common). The default ({retrieval.fusion}, weight {retrieval.vector_weight:g}, {retrieval.candidates} "
        f"candidates), as the database orders: {default:.3f}."
    )
    report.table(("nDCG@10, training questions", *(f"{weight:g}" for weight in WEIGHTS)), rows)


def _rerank_tuning(report: Report, index: Indexed) -> None:
    """Blend the cross-encoder with some weights, on some of the training questions."""
    retrieval = index.settings.retrieval
    questions = index.collection.training[:: max(1, len(index.collection.training) // _RERANK_QUESTIONS)]
    reranker = open_reranker(retrieval)
    rankings: dict[float, dict[str, Sequence[str]]] = {weight: {} for weight in _RERANK_WEIGHTS}
    say(f"re-ranking for {len(questions)} training questions")
    for question in questions:
        candidates = index.candidates(question)
        texts = [passage_text(candidate) for candidate in candidates[: retrieval.rerank_depth]]
        scores = reranker.scores(question.text, texts, _RERANK_SECONDS)
        for weight, found in rankings.items():
            found[question.id] = by_best_chunk(_documents(index, blended(candidates, scores, weight)))
    report.text(
        f"What the cross-encoder's weight is chosen by: the same on {len(questions)} of the training questions. The "
        f"default, where re-ranking is asked for, is {retrieval.rerank_weight:g}; `[retrieval] rerank` is "
        f"{str(retrieval.rerank).lower()}."
    )
    report.table(
        ("weight of the cross-encoder", *(f"{weight:g}" for weight in _RERANK_WEIGHTS)),
        [("nDCG@10", *(f"{_mean(found, questions):.3f}" for found in rankings.values()))],
    )


def _documents(index: Indexed, candidates: Sequence[Candidate]) -> list[str]:
    return [index.files[candidate.document_id] for candidate in candidates]


def _mean(rankings: Rankings, questions: Sequence[Question]) -> float:
    return score(questions, rankings, ("nDCG@10",)).mean("nDCG@10")
