"""The referee of the chunking benchmark: metrics worked out by hand, intervals, and the loop around them.

In the drawings a character is a column: E belongs to an excerpt, the digits are chunks.
"""

import json
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.chunking.measure import Bench
from benchmarks.chunking.metrics import Scores, Span, score
from benchmarks.chunking.questions import Question, load
from benchmarks.chunking.splitters import PEERS_PYTHON, Piece, langchain, open_tokenizer, ours
from rag_pipeline.embeddings import Batch, Reserve, Sample, Vector, in_blocks, unbounded
from rag_pipeline.embeddings.hashed import HashedEmbedder
from rag_pipeline.evaluation.bootstrap import interval
from rag_pipeline.settings import Chunking, Embedding


def spans(*pairs: tuple[int, int], corpus: str = "a") -> list[Span]:
    return [Span(corpus, start, end) for start, end in pairs]


TENS = spans((0, 10), (10, 20), (20, 30), (30, 40))


@pytest.mark.parametrize(
    ("excerpts", "retrieved", "chunks", "expected"),
    [
        # ....EEEE............  one chunk holds the excerpt: 4 of its 10 characters are wanted
        # 0000000000
        (spans((4, 8)), TENS[:1], TENS, Scores(1, 4 / 10, 4 / 10, 4 / 10)),
        # ........EEEE........  half of the excerpt is retrieved; both chunks touch it
        # 0000000000..........
        (spans((8, 12)), TENS[:1], TENS, Scores(2 / 4, 2 / 10, 4 / 20, 2 / (10 + 2))),
        # ........EEEE........EE  a second chunk that has nothing of it costs precision and IoU
        # 0000000000..........2222222222
        (spans((8, 12), (20, 22)), [TENS[0], TENS[2]], TENS, Scores(4 / 6, 4 / 20, 6 / 30, 4 / (20 + 2))),
        # nothing is found
        (spans((4, 8)), TENS[2:], TENS, Scores(0, 0, 4 / 10, 0)),
        # nothing is retrieved, and nothing can be
        (spans((4, 8)), [], [], Scores(0, 0, 0, 0)),
        # ....EEEE........  chunks that overlap hold the excerpt twice: it counts once, what was retrieved twice,
        # 0000000000......  but once for precision_omega, whose chunks are a set of characters
        # ..1111111111....
        (spans((4, 8)), spans((0, 10), (2, 12)), spans((0, 10), (2, 12)), Scores(1, 4 / 20, 4 / 12, 4 / 20)),
        # ........EEEE....  overlapping chunks each hold a part: together all of it
        # 0000000000......
        # ......1111111111
        (spans((8, 12)), spans((0, 10), (6, 16)), spans((0, 10), (6, 16)), Scores(1, 4 / 20, 4 / 16, 4 / 20)),
        # an excerpt that no chunk holds is part of what perfect recall would have to bring
        (spans((4, 8), (50, 56)), TENS[:1], TENS, Scores(4 / 10, 4 / 10, 4 / 16, 4 / (10 + 6))),
        # a chunk that ends where the excerpt begins does not touch it
        (spans((10, 14)), TENS[:2], TENS, Scores(1, 4 / 20, 4 / 10, 4 / 20)),
        # the same characters of another corpus are others
        (spans((4, 8)), spans((0, 10), corpus="b"), spans((0, 10), corpus="b"), Scores(0, 0, 0, 0)),
        (spans((4, 8)), [*TENS[:1], *spans((0, 10), corpus="b")], TENS, Scores(1, 4 / 20, 4 / 10, 4 / 20)),
    ],
)
def test_metrics_as_worked_out_by_hand(
    excerpts: list[Span], retrieved: list[Span], chunks: list[Span], expected: Scores
) -> None:
    found = score(excerpts, retrieved, chunks)
    assert found == expected


SPAN = st.builds(
    lambda corpus, start, size: Span(corpus, start, start + size),
    st.sampled_from("ab"),
    st.integers(0, 30),
    st.integers(1, 20),
)


@given(st.lists(SPAN, min_size=1, max_size=4), st.lists(SPAN, max_size=6))
def test_metrics_agree_with_sets_of_characters(excerpts: list[Span], chunks: list[Span]) -> None:
    def characters(some: Sequence[Span]) -> set[tuple[str, int]]:
        return {(span.corpus, place) for span in some for place in range(span.start, span.end)}

    wanted, retrieved = characters(excerpts), chunks[:5]
    size = sum(span.end - span.start for span in retrieved)
    common = len(wanted & characters(retrieved))
    touching = characters([span for span in chunks if characters([span]) & wanted])
    assert score(excerpts, retrieved, chunks) == Scores(
        recall=common / len(wanted),
        precision=common / size if size else 0,
        precision_omega=len(wanted & touching) / len(wanted | touching),
        iou=common / (size + len(wanted) - common),
    )


def test_an_interval_tells_a_difference_from_luck() -> None:
    assert interval([1.0] * 50) == (1.0, 1.0)
    low, high = interval([1.0, -1.0] * 100)
    assert low < 0 < high
    assert high - low == pytest.approx(2 * 1.96 / 200**0.5, rel=0.05)  # the normal approximation
    assert interval([1.0, -1.0] * 100) == (low, high)


class _Letters:
    """Counts letters: a text is near a question when they have letters in common."""

    model, dimensions = "letters", 26

    def count_tokens(self, texts: list[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def embed(self, texts: Iterable[str], reserve: Reserve = unbounded, known: int = 0) -> Iterator[Batch]:
        return in_blocks(texts, lambda ahead: map(self.embed_query, ahead), self.count_tokens)

    def embed_query(self, text: str) -> Vector:
        counts = np.array([text.count(chr(97 + number)) for number in range(26)], np.float32)
        return counts / max(1.0, float(np.linalg.norm(counts)))

    def sample(self, reserve: Reserve = unbounded) -> Sample | None:
        return None


def test_five_chunks_are_retrieved_over_all_corpora() -> None:
    corpora = {"x": "aa bb cc dd ee ff gg", "y": "zz"}

    def words(text: str) -> list[Piece]:
        return [Piece(start, start + 2, text[start : start + 2]) for start in range(0, len(text), 3)]

    questions = [Question("z", (Span("y", 0, 2),)), Question("g", (Span("x", 18, 20), Span("x", 0, 2)))]
    outcome = Bench(_Letters(), corpora, questions).measure(words)
    assert (outcome.chunks, outcome.tokens) == (8, 1.0)
    # for z: zz, and then the first four of equals; for g: gg, aa, bb, cc and dd
    assert outcome.scores == [Scores(1, 2 / 10, 1, 2 / 10), Scores(1, 4 / 10, 1, 4 / 10)]
    assert outcome.mean("recall") == 100
    assert outcome.mean("iou", [True, False]) == pytest.approx(20)


def test_questions_are_read_as_published(tmp_path) -> None:
    (tmp_path / "speech.md").write_text("One. Two.\n", "utf-8")
    references = json.dumps([{"content": "Two.", "start_index": 5, "end_index": 9}]).replace('"', '""')
    (tmp_path / "questions.csv").write_text(
        f'question,references,corpus_id\n"What, then?","{references}",speech\n', "utf-8"
    )
    assert load(tmp_path) == ({"speech": "One. Two.\n"}, [Question("What, then?", (Span("speech", 5, 9),))])


TEXT = "\n\n".join(f"Paragraph {number} says this. And it says that, too." for number in range(60)) + "\n"


def test_our_pieces_are_chunks_of_the_corpus_at_their_places() -> None:
    pieces = ours(HashedEmbedder().count_tokens, Chunking.model_validate({"max_tokens": 50}))(TEXT)
    assert len(pieces) > 10
    assert all(TEXT[piece.start : piece.end] == piece.embed_text for piece in pieces)
    assert "".join("".join(TEXT[p.start : p.end] for p in pieces).split()) == "".join(TEXT.split())


@pytest.mark.skipif(not PEERS_PYTHON.exists(), reason="no other splitters: benchmarks/peers/install.sh installs them")
@pytest.mark.parametrize(("kind", "overlap"), [("token", 0), ("token", 25), ("recursive", 0), ("recursive", 25)])
def test_langchain_cuts_by_the_tokens_of_our_model(kind: str, overlap: int) -> None:
    tokenizer = open_tokenizer(Embedding().model)
    pieces = langchain(tokenizer, kind, 50, overlap)(TEXT)
    sizes = [len(tokenizer.encode(piece.embed_text, add_special_tokens=False).ids) for piece in pieces]
    assert max(sizes) <= 50
    assert all(TEXT[piece.start : piece.end] == piece.embed_text for piece in pieces)
    covered = {place for piece in pieces for place in range(piece.start, piece.end)}
    assert all(TEXT[place].isspace() for place in set(range(len(TEXT))) - covered)
    shared = sum(map(len, (piece.embed_text for piece in pieces))) / len(TEXT)
    assert shared > 1.5 if overlap else shared < 1.01
