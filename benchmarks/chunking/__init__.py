"""Chunking quality: what five retrieved chunks hold of the answer, and what else they hold.

The question set, the metrics and the splitters are those of Smith and Troynikov, "Evaluating Chunking
Strategies for Retrieval" (Chroma, 2024; `benchmarks.chunking.metrics` has the definitions), of whose five
corpora two are here. One model serves all, the project's. Of every splitter the chunk's own text is what
retrieval returns and what is scored.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.chunking.measure import RETRIEVED, Bench, Outcome
from benchmarks.chunking.questions import load
from benchmarks.chunking.splitters import PAPER, PEERS_PYTHON, Split, langchain, open_tokenizer, ours
from benchmarks.options import Options
from benchmarks.report import Report, say
from rag_pipeline.embeddings import open_embedder
from rag_pipeline.evaluation.bootstrap import interval
from rag_pipeline.settings import Chunking, Embedding
from rag_pipeline_tests.handbook import DATA

TITLE = "Chunking beside recursive and token splitters"
_FOLDER = DATA / "chunking"
_SIZES = ((200, 0), (250, 0), (250, 125), (400, 200))
_RIVALS = (200, 250)
_NEARBY = (-10, -5, 0, 5, 10)
_FRONTIER = (100, 120, 150, 175, 200, 225, 250, 300, 350, 400)


@dataclass(frozen=True, slots=True)
class _Splitter:
    """A splitter of which one can ask for any size in tokens; `size` is the one that counts."""

    name: str
    size: int
    at: Callable[[int], Split]


_Outcomes = dict[_Splitter, Outcome]


def run(report: Report, options: Options) -> None:
    """Measure all splitters, then each at sizes nearby, then this project's chunker at many sizes."""
    if not _FOLDER.exists():
        report.text("Skipped: no shared data: `chunking` is looked for in RAG_SHARED_DATA or ../shared/data.")
        return
    corpora, questions = load(_FOLDER)
    embedder = open_embedder(Embedding())
    bench = Bench(embedder, corpora, questions[:: 20 if options.quick else 1])
    settings = Chunking.model_validate({})
    mine = _Splitter(
        "rag-pipeline, default settings",
        settings.max_tokens,
        lambda size: ours(embedder.count_tokens, settings.model_copy(update={"max_tokens": size})),
    )
    rivals = _langchain()[: 1 if options.quick else None] if PEERS_PYTHON.exists() else []
    outcomes = {splitter: _measure(bench, splitter, splitter.size) for splitter in (mine, *rivals)}
    report.text(
        f"{len(bench.questions)} questions on {len(corpora)} corpora, searched as one collection; {RETRIEVED} chunks "
        f"retrieved for each; model `{embedder.model}`, whose tokens all sizes are in. Metrics and questions: Smith "
        "and Troynikov, *Evaluating Chunking Strategies for Retrieval* (Chroma, 2024); percent, ± one standard "
        "deviation over the questions. LangChain's splitters run as they are, without and with overlap (after the "
        "slash); *report's* are the separators of that report (blank line, line, `.`, `?`, `!`, blank). This project's "
        "chunker was developed with these questions in view, the others were not: its figures here are its best case."
    )
    if rivals:
        _goals(report, outcomes, mine)
    else:
        report.text("Skipped: the other splitters. Make their environment with `benchmarks/peers/install.sh`.")
    _table(report, outcomes)
    if rivals:
        _differences(report, outcomes, mine)
    if not options.quick:
        _parts(report, outcomes, bench)
        _luck(report, outcomes, bench)
        _frontier(report, mine, bench)


def _langchain() -> list[_Splitter]:
    tokenizer = open_tokenizer(Embedding().model)

    def splitter(name: str, kind: str, separators: Sequence[str], size: int, overlap: int) -> _Splitter:
        return _Splitter(
            f"{name} {size}/{overlap}", size, lambda size: langchain(tokenizer, kind, size, overlap, separators)
        )

    kinds = (("token", "token", ()), ("recursive, report's", "recursive", PAPER), ("recursive", "recursive", ()))
    return [splitter(*kind, *sizes) for kind in kinds for sizes in _SIZES]


def _measure(bench: Bench, splitter: _Splitter, size: int) -> Outcome:
    say(f"{splitter.name}, at {size} tokens")
    return bench.measure(splitter.at(size))


def _goals(report: Report, outcomes: _Outcomes, mine: _Splitter) -> None:
    for metric, name in (("recall", "recall"), ("iou", "IoU")):
        means = {splitter: outcome.mean(metric) for splitter, outcome in outcomes.items()}
        measured = means.pop(mine)
        best = max((splitter for splitter in means if splitter.size in _RIVALS), key=lambda splitter: means[splitter])
        to_reach = f"> {means[best]:.2f} %, the best at 200 and 250 tokens ({best.name})"
        report.goal(f"{name}, default settings", to_reach, f"{measured:.2f}", "%", measured > means[best])


def _table(report: Report, outcomes: _Outcomes) -> None:
    metrics = {"recall": "recall", "precision": "precision", "precision_omega": "precision_omega", "IoU": "iou"}
    report.table(
        ("splitter", "chunks", "mean tokens", *metrics),
        [
            (
                splitter.name,
                outcome.chunks,
                f"{outcome.tokens:.0f}",
                *(
                    f"{outcome.mean(metric):.2f} ± {statistics.pstdev(outcome.values(metric)):.1f}"
                    for metric in metrics.values()
                ),
            )
            for splitter, outcome in outcomes.items()
        ],
    )


def _differences(report: Report, outcomes: _Outcomes, mine: _Splitter) -> None:
    def difference(outcome: Outcome, metric: str) -> str:
        pairs = zip(outcomes[mine].values(metric), outcome.values(metric), strict=True)
        differences = [one - other for one, other in pairs]
        low, high = interval(differences)
        return f"{statistics.fmean(differences):+.2f} [{low:+.2f}, {high:+.2f}]"

    report.text(
        "This project less each splitter, in percentage points, with the 95 % interval of a paired bootstrap over "
        "the questions (10,000 resamples):"
    )
    report.table(
        ("splitter", "recall", "IoU"),
        [
            (splitter.name, difference(outcome, "recall"), difference(outcome, "iou"))
            for splitter, outcome in outcomes.items()
            if splitter is not mine
        ],
    )


def _parts(report: Report, outcomes: _Outcomes, bench: Bench) -> None:
    """Show parts of the questions on their own: what holds for the whole by chance seldom holds for each."""
    names = [question.excerpts[0].corpus for question in bench.questions]
    parts = {name: [name == other for other in names] for name in sorted(set(names))}
    parts |= {half: [index % 2 == rest for index in range(len(names))] for rest, half in enumerate(("even", "odd"))}
    report.text("Recall / IoU on each corpus, and on every other question:")
    report.table(
        ("splitter", *parts),
        [
            (
                splitter.name,
                *(f"{outcome.mean('recall', of):.1f} / {outcome.mean('iou', of):.2f}" for of in parts.values()),
            )
            for splitter, outcome in outcomes.items()
        ],
    )


def _luck(report: Report, outcomes: _Outcomes, bench: Bench) -> None:
    def across(nearby: Sequence[Outcome], metric: str) -> str:
        means = [outcome.mean(metric) for outcome in nearby]
        return f"{statistics.fmean(means):.2f} ({min(means):.2f} to {max(means):.2f})"

    report.text(
        "Where exactly a border falls decides some questions by luck. Mean and range of each splitter over five sizes "
        f"nearby ({', '.join(f'{step:+d}' for step in _NEARBY)} tokens):"
    )
    rows: list[tuple[str, str, str]] = []
    for splitter in outcomes:
        if splitter.size in _RIVALS:
            nearby = [_measure(bench, splitter, splitter.size + step) for step in _NEARBY]
            rows.append((splitter.name, across(nearby, "recall"), across(nearby, "iou")))
    report.table(("splitter", "recall", "IoU"), rows)


def _frontier(report: Report, mine: _Splitter, bench: Bench) -> None:
    outcomes = {size: _measure(bench, mine, size) for size in _FRONTIER}
    report.text(f"This project at other values of `max_tokens` (the default is {mine.size}):")
    report.table(
        ("max_tokens", "chunks", "mean tokens", "recall", "IoU"),
        [
            (str(size), each.chunks, f"{each.tokens:.0f}", f"{each.mean('recall'):.2f}", f"{each.mean('iou'):.2f}")
            for size, each in outcomes.items()
        ],
    )
