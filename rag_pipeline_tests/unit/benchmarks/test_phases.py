"""The referee of the comparison: what it calls a ghost, and what missing."""

from pathlib import Path

import pytest

from benchmarks.corpus import document, path_of, write_corpus
from benchmarks.peers.phases import PHASES, audit
from benchmarks.peers.texts import cut, pages
from rag_pipeline.chunks import split
from rag_pipeline.documents import parse
from rag_pipeline.embeddings.hashed import HashedEmbedder

Rows = list[tuple[str, str, str]]


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    write_corpus(tmp_path, 25)
    return tmp_path


def rows_of(corpus: Path) -> Rows:
    return [(page.path, piece, page.access) for page in pages(corpus) for piece in cut(page.text)]


def test_an_index_of_the_present_documents_has_neither(corpus: Path) -> None:
    assert audit(corpus, rows_of(corpus)) == (0, 0)


@pytest.mark.parametrize("phase", [name for name in PHASES if name not in ("cold build", "no change")])
def test_an_index_that_missed_a_change_has_ghosts(corpus: Path, phase: str) -> None:
    rows = rows_of(corpus)
    PHASES[phase](corpus)
    ghosts, missing = audit(corpus, rows)
    assert ghosts > 0
    assert (missing == 0) == (phase == "delete")


def test_a_lost_chunk_is_missing_and_a_second_copy_is_a_ghost(corpus: Path) -> None:
    rows = rows_of(corpus)
    assert audit(corpus, rows[1:]) == (0, 1)
    assert audit(corpus, [*rows, rows[0]]) == (1, 0)


def test_everybody_cuts_the_generated_documents_alike() -> None:
    embedder = HashedEmbedder()
    for number in range(40):
        text = document(number)
        sections = split(parse(text.encode(), "text/markdown", path_of(number)), embedder.count_tokens, 200, 800)
        assert sum(len(section.chunks) for section in sections) == len(cut(text))
