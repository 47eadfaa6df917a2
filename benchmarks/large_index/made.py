"""Where the large index lies: it is made in a temporary folder, kept there, and used again while it is the same."""

import fcntl
import hashlib
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.large_index.callers import access_lists
from benchmarks.large_index.passages import Passages, read_passages
from benchmarks.large_index.variations import Variations, VariedEmbedder
from benchmarks.options import Options
from benchmarks.report import say
from benchmarks.retrieval.judged import docs_qa, scifact
from benchmarks.stage_times import timed_refresh
from benchmarks.workbench import SOURCE, Workbench, workbench
from rag_pipeline.database.connection import embedded_server
from rag_pipeline.database.migrate import prepare
from rag_pipeline.embeddings import Embedder, Vector, open_embedder
from rag_pipeline.settings import FILE_NAME, Embedding, Settings
from rag_pipeline.stages import Pipeline
from rag_pipeline_tests.handbook import BUNDLE, DATA

MISSING = (
    "Skipped: no shared data: `scifact`, `docs_qa` and `handbook.bundle` are looked for in RAG_SHARED_DATA "
    "or ../shared/data."
)
_PAGES = 100_000
_QUICK_PAGES, _QUICK_PASSAGES = 100, 20
_FOLDER_SIZE = 1_000
_QUESTIONS = 200
_KEPT = Path(tempfile.gettempdir()) / "rag-pipeline-large-index"
_MARKER = "made-by"
_PASSAGES = _KEPT.with_name("rag-pipeline-passages.npz")
_CHECKOUT = Path(__file__).resolve().parents[2]
_MAKES_PASSAGES = (
    "benchmarks/large_index/passages.py",
    "benchmarks/retrieval/judged.py",
    "rag_pipeline/chunks/*.py",
    "rag_pipeline/documents/markdown.py",
    "rag_pipeline/embeddings/local.py",
)
_MAKES_IT = (
    *_MAKES_PASSAGES,
    "benchmarks/large_index/*.py",
    "rag_pipeline/index/group_graphs.py",
    "rag_pipeline/index/publish.py",
    "sql/functions/10_terms.sql",
    "sql/generation/*.sql",
    "sql/migrations/*.sql",
    "sql/queries/group_graphs.sql",
    "sql/queries/publish*.sql",
)
"""What decides how the index looks: a change there makes the kept one stale. Functions and views are renewed in it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of others, with its vector by the real model."""

    text: str
    vector: Vector


@dataclass(frozen=True, slots=True)
class LargeIndex:
    """The published index and the questions to ask it.

    `passages` is how many real ones its chunks are made of, `seconds` what making it took (None: it was there).
    """

    bench: Workbench
    questions: tuple[Asked, ...]
    generation: int
    chunks: int
    passages: int
    seconds: float | None


def available() -> bool:
    """Whether the real passages are here."""
    return BUNDLE.exists() and (DATA / "scifact").exists() and (DATA / "docs_qa").exists()


@contextmanager
def large_index(options: Options) -> Iterator[LargeIndex]:
    """Give the index, a small one in a quick run. The full one is kept for the next benchmark, some 8 GB."""
    stamp = _fingerprint(_MAKES_IT)
    kept = None if options.quick else _KEPT
    with ExitStack() as until_done:
        if kept:
            until_done.enter_context(_alone())
        passages = _kept_passages(stamp) if kept else None
        if kept and passages is None:
            _remove(kept)
        bench = until_done.enter_context(workbench(provider="local", kept=kept))
        seconds = None
        if passages is None:
            started = time.monotonic()
            passages = _make(bench, options)
            bench.settle()
            seconds = time.monotonic() - started
            if kept:
                (kept / _MARKER).write_text(f"{stamp} {passages}", "ascii")
        prepare(bench.settings)
        with bench.administrator() as connection:
            row = connection.execute("select generation, (select count(*) from rag.chunks) from rag.index_state()")
            generation, chunks = row.fetchone() or (0, 0)
        yield LargeIndex(bench, _questions(options), generation, chunks, passages, seconds)


@contextmanager
def _alone() -> Iterator[None]:
    """Keep other runs away from the kept index, or wait until they are done."""
    with _KEPT.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another run uses the large index; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove(folder: Path) -> None:
    """Remove an old index; a server that a killed run left behind is stopped first."""
    if (folder / FILE_NAME).exists() and (server := embedded_server(Settings.read(folder / FILE_NAME, environ={}))):
        server.stop()
    shutil.rmtree(folder, ignore_errors=True)


def _kept_passages(stamp: str) -> int | None:
    """Return of how many passages the kept index is made; None when there is none, or an old one."""
    marker = _KEPT / _MARKER
    kept, _, passages = marker.read_text("ascii").partition(" ") if marker.exists() else ("", "", "")
    return int(passages) if kept == stamp else None


def _make(bench: Workbench, options: Options) -> int:
    """Index the pages; return how many passages they are made of."""
    model = open_embedder(Embedding())
    variations = Variations(read_passages(model, _QUICK_PASSAGES) if options.quick else _passages(model))
    pages = _QUICK_PAGES if options.quick else _PAGES
    say(f"writing {pages:,} pages made of {len(variations.passages.titles):,} passages")
    for number, access in enumerate(access_lists(variations.topics(pages))):
        file = bench.documents / f"{number // _FOLDER_SIZE:03}" / f"{number:06}.md"
        if number % _FOLDER_SIZE == 0:
            file.parent.mkdir(parents=True)
        file.write_text(variations.page(number, access), "utf-8")
    pipeline = Pipeline(bench.settings)
    pipeline.embedder = VariedEmbedder(variations, model.model)
    _, seconds = timed_refresh(pipeline, SOURCE)
    say("first refresh, seconds: " + ", ".join(f"{stage} {took:.0f}" for stage, took in seconds.items()))
    say("the graphs over the vectors")
    pipeline.vector_index()
    return len(variations.passages.titles)


def _passages(model: Embedder) -> Passages:
    """Return all passages; embedding them takes minutes, so they are kept as well."""
    stamp = _fingerprint(_MAKES_PASSAGES)
    if _PASSAGES.exists() and (kept := Passages.load(_PASSAGES, stamp)):
        return kept
    say("embedding the real passages")
    passages = read_passages(model)
    passages.save(_PASSAGES, stamp)
    return passages


def _questions(options: Options) -> tuple[Asked, ...]:
    """Return some questions of each collection, in turns over all of them, with their vectors."""
    asked = [*docs_qa(DATA / "docs_qa").questions, *scifact(DATA / "scifact").questions]
    chosen = np.linspace(0, len(asked) - 1, 5 if options.quick else _QUESTIONS).astype(int).tolist()
    embedder = open_embedder(Embedding())
    return tuple(Asked(asked[index].text, embedder.embed_query(asked[index].text)) for index in chosen)


def _fingerprint(patterns: Iterable[str]) -> str:
    """Hash the files of the checkout that patterns name."""
    digest = hashlib.sha256()
    for pattern in patterns:
        for file in sorted(_CHECKOUT.glob(pattern)):
            digest.update(file.relative_to(_CHECKOUT).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
