"""A real ONNX model of a few hundred bytes with a real tokenizer, laid out as the hub lays models out."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

WORDS = ("[PAD]", "[UNK]", "red", "green", "blue", "query", "passage", ":")
WIDTH = 4


def vectors(seed: int = 0, width: int = WIDTH) -> np.ndarray:
    """A row a word."""
    return np.random.default_rng(seed).standard_normal((len(WORDS), width)).astype(np.float32)


def write_tiny(
    folder: Path,
    *,
    seed: int = 0,
    model_file: str = "model.onnx",
    width: int = WIDTH,
    config: Mapping[str, object] | None = None,
) -> Path:
    """Write a model that looks every token up in `vectors`: one vector a token, for pooling."""
    (folder / model_file).parent.mkdir(parents=True, exist_ok=True)
    ids = [helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "t"]) for name in ("input_ids",)]
    out = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["b", "t", width])
    node = helper.make_node("Gather", ["words", "input_ids"], ["last_hidden_state"])
    graph = helper.make_graph([node], "tiny", ids, [out], [numpy_helper.from_array(vectors(seed, width), "words")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / model_file)
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 16, "pad_token": "[PAD]"}))
    (folder / "config.json").write_text(json.dumps({"hidden_size": width} if config is None else config))
    return folder


def write_pooling(folder: Path, said: Mapping[str, object]) -> Path:
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(said))
    return folder
