"""A folder is believed in what it says, asked for what it does not, and known by what decides its vectors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag_pipeline.embeddings import in_order, open_embedder
from rag_pipeline.embeddings.weights.folder import read_folder
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.recipe import Recipe
from rag_pipeline.settings import Embedding, Settings
from rag_pipeline.targets import Targets
from rag_pipeline_tests.unit.embeddings.weights.tiny import WIDTH, WORDS, vectors, write_pooling, write_tiny

MEAN = {"word_embedding_dimension": WIDTH, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
CLS = {"word_embedding_dimension": WIDTH, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}


def embedding(folder: Path, **more: Any) -> Embedding:
    return Embedding.model_validate({"model": "tiny", "path": str(folder), **more})


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize(
    ("said", "setting", "rows"),
    [
        (MEAN, None, (2, 3)),
        (CLS, None, (2,)),
        ({"pooling_mode": "mean"}, None, (2, 3)),
        ({"pooling_mode": "lasttoken"}, None, (3,)),
        (MEAN, "cls", (2,)),
        ({}, "last", (3,)),
    ],
)
def test_a_vector_is_pooled_as_the_folder_says_unless_the_settings_do(
    tmp_path: Path, said: dict[str, object], setting: str | None, rows: tuple[int, ...]
) -> None:
    write_pooling(write_tiny(tmp_path), said)
    embedder = open_embedder(embedding(tmp_path, pooling=setting))
    expected = unit(vectors()[list(rows)].mean(axis=0))
    assert WORDS[2:4] == ("red", "green")
    assert np.allclose(embedder.embed_query("red green"), expected, atol=1e-6)
    assert np.allclose(in_order(embedder, ["blue", "red green"])[1], expected, atol=1e-6)
    assert embedder.dimensions == WIDTH
    assert embedder.count_tokens(["red green blue", ""]) == [3, 0]


@pytest.mark.parametrize("file", ["model.onnx", "onnx/model.onnx", "onnx/model_quantized.onnx"])
def test_the_onnx_file_is_found_where_exports_put_it(tmp_path: Path, file: str) -> None:
    assert read_folder(write_tiny(tmp_path, model_file=file), "cls", None).model_file == file


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"embedding\.path: .*/nowhere is no folder"):
        read_folder(tmp_path / "nowhere", "cls", None)
    with pytest.raises(ConfigurationError, match=r"has no tokenizer\.json"):
        read_folder(tmp_path, "cls", None)
    write_tiny(tmp_path, config={})
    with pytest.raises(ConfigurationError, match=r"embedding\.pooling: .* does not say .* cls, mean, last, or none"):
        read_folder(tmp_path, None, None)
    with pytest.raises(ConfigurationError, match=r"embedding\.dimensions: .* does not say how long"):
        read_folder(tmp_path, "cls", None)
    assert read_folder(tmp_path, "cls", WIDTH).dimensions == WIDTH
    (tmp_path / "model.onnx").rename(tmp_path / "one.onnx")
    (tmp_path / "other.onnx").write_bytes(b"")
    with pytest.raises(ConfigurationError, match=r"it has one\.onnx, other\.onnx"):
        read_folder(tmp_path, "cls", WIDTH)


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    (write_tiny(tmp_path) / "config.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"config\.json cannot be read"):
        read_folder(tmp_path, "cls", None)


def test_a_file_that_is_no_model_is_named_when_it_is_loaded(tmp_path: Path) -> None:
    (write_tiny(tmp_path) / "model.onnx").write_bytes(b"no model")
    embedder = open_embedder(embedding(tmp_path, pooling="cls"))
    with pytest.raises(ConfigurationError, match=rf"{tmp_path} cannot be loaded"):
        embedder.embed_query("red")


@pytest.mark.parametrize(("pooling", "dimensions"), [("cls", WIDTH + 1), ("none", WIDTH)])
def test_vectors_of_another_shape_than_promised_are_refused(tmp_path: Path, pooling: str, dimensions: int) -> None:
    write_tiny(tmp_path, config={})
    embedder = open_embedder(embedding(tmp_path, pooling=pooling, dimensions=dimensions))
    with pytest.raises(ConfigurationError, match=r"embedding\.(pooling|model)"):
        embedder.embed_query("red")


def test_a_model_is_known_by_all_that_decides_its_vectors(tmp_path: Path) -> None:
    """Weights, tokenizer, data beside the ONNX file and pooling; neither the place nor words about it."""
    folder = write_tiny(tmp_path / "a")
    names = {read_folder(folder, "cls", None).digest}
    names.add(read_folder(folder, "mean", None).digest)
    names.add(read_folder(write_tiny(tmp_path / "b", seed=1), "cls", None).digest)
    (folder / "weights.bin").write_bytes(b"1")
    names.add(read_folder(folder, "cls", None).digest)
    (folder / "weights.bin").write_bytes(b"2")
    names.add(read_folder(folder, "cls", None).digest)
    tokenizer = json.loads((folder / "tokenizer.json").read_bytes())
    tokenizer["model"]["vocab"] |= {"red": 3, "green": 2}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    names.add(read_folder(folder, "cls", None).digest)
    assert len(names) == 6, "six models"
    elsewhere = write_tiny(tmp_path / "c")
    (elsewhere / "README.md").write_text("about it")
    (elsewhere / "model.safetensors").write_text("the same in another format")
    assert read_folder(elsewhere, "cls", None).digest in names


def test_models_that_differ_have_names_that_differ(tmp_path: Path) -> None:
    one, other = (
        open_embedder(embedding(write_tiny(tmp_path / str(seed), seed=seed), pooling="cls")) for seed in (1, 2)
    )
    assert one.model != other.model
    assert one.model.startswith("tiny@")
    assert not np.allclose(one.embed_query("red"), other.embed_query("red"))


def test_a_model_that_would_not_read_a_chunk_to_its_end_makes_no_index(tmp_path: Path) -> None:
    """The bound is what is really read; words of its own before a passage are part of that."""
    folder = write_pooling(write_tiny(tmp_path), MEAN)

    def wanted(max_tokens: int, **more: Any) -> Recipe:
        settings = Settings.model_validate(
            {"embedding": embedding(folder, **more), "chunking": {"max_tokens": max_tokens}}
        )
        return Targets(settings).wanted

    def read(red: int) -> np.ndarray:
        return open_embedder(embedding(folder)).embed_query("red " * red + "blue")

    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 40, "pad_token": "[PAD]"}))
    assert np.allclose(read(40), read(60)), "40 tokens are read"
    assert not np.allclose(read(39), read(60)), "and no fewer"
    assert wanted(40).max_tokens == wanted(38, passage_prefix="passage: ").max_tokens + 2 == 40
    for too_much, more in ((41, {}), (39, {"passage_prefix": "passage: "})):
        with pytest.raises(
            ConfigurationError, match=rf"max_tokens is {too_much}, but .* tiny reads {too_much - 1} tokens"
        ):
            wanted(too_much, **more)
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 1e30, "pad_token": "[PAD]"}))
    assert wanted(480).max_tokens == 480, "the files do not say it"


def test_a_path_is_relative_to_the_settings_and_needs_a_name(tmp_path: Path) -> None:
    (tmp_path / "rag.toml").write_text('[embedding]\nmodel = "tiny"\npath = "models/tiny"\n')
    assert Settings.read(tmp_path / "rag.toml", {}).embedding.path == str(tmp_path / "models" / "tiny")
    (tmp_path / "rag.toml").write_text('[embedding]\npath = "/models/tiny"\n')
    with pytest.raises(ConfigurationError, match="embedding: a path needs the name of its model; add: model"):
        Settings.read(tmp_path / "rag.toml", {})
