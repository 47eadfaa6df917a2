"""Writes a BERT encoder with four-bit matrices as an ONNX graph, losing nothing.

onnxruntime multiplies by four-bit blocks itself: sums are in full precision, so unlike with dynamic int8 a text's
vector does not depend on its neighbours, and the graph is a sixth of one in full precision, on disk and in memory.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rag_pipeline.embeddings.weights.q4 import BLOCK, Matrix, Q4File

if TYPE_CHECKING:
    from onnx import NodeProto
    from onnx import TensorProto as Tensor

_RUNTIME = "com.microsoft"
"""Where onnxruntime keeps operators of its own."""

_FULL_PRECISION = 1
_OPSET, _IR_VERSION = 21, 10
_MASKED = np.float32(-1e9)


def write_encoder(source: Q4File, file: Path) -> None:
    """Write the encoder: token ids and their mask (texts × tokens) in, ``last_hidden_state`` out.

    Needs the package `onnx`, and raises `ImportError` without it.
    """
    import onnx
    from onnx import TensorProto, helper

    graph = _Graph()
    state = _encoder(graph, source)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info(state, TensorProto.FLOAT, ["texts", "tokens", source.shape.width])
    model = helper.make_model(
        helper.make_graph(graph.nodes, "encoder", inputs, [output], graph.constants),
        opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid(_RUNTIME, 1)],
        ir_version=_IR_VERSION,
    )
    onnx.save(model, file)


def _encoder(graph: "_Graph", source: Q4File) -> str:
    """Add the whole encoder; returns the name of its output."""
    shape = source.shape
    words = graph.look_up(source.matrix("emb.word", shape.vocabulary, shape.width), "input_ids")
    # A text is one sentence, so that all its tokens are of the first kind.
    positions = source.vector("emb.pos").reshape(-1, shape.width) + source.vector("emb.type")[: shape.width]
    length = graph.add("Slice", graph.add("Shape", "input_ids"), graph.numbers(1), graph.numbers(2))
    placed = graph.add("Slice", graph.constant(positions), graph.numbers(0), length, graph.numbers(0))
    state = _normalised(graph, source, "emb.ln", graph.add("Add", words, placed))
    seen = graph.add("Cast", "attention_mask", to=graph.float_type)
    hidden = graph.add("Sub", graph.constant(np.float32(1)), graph.add("Unsqueeze", seen, graph.numbers(1, 2)))
    mask = graph.add("Mul", hidden, graph.constant(_MASKED))
    for layer in range(shape.layers):
        attended = _attention(graph, source, f"l{layer}.", state, mask)
        state = _normalised(graph, source, f"l{layer}.aln", graph.add("Add", attended, state))
        inner = graph.add("Gelu", _linear(graph, source, f"l{layer}.fi", state, shape.inner, shape.width))
        outer = _linear(graph, source, f"l{layer}.fo", inner, shape.width, shape.inner)
        state = _normalised(graph, source, f"l{layer}.oln", graph.add("Add", outer, state))
    return graph.add("Identity", state, output="last_hidden_state")


def _attention(graph: "_Graph", source: Q4File, layer: str, state: str, mask: str) -> str:
    """Let every token look at all others, by several heads; returns texts × tokens × width."""
    width, heads = source.shape.width, source.shape.heads

    def by_head(name: str, order: Sequence[int]) -> str:
        projected = _linear(graph, source, layer + name, state, width, width)
        return graph.add(
            "Transpose", graph.add("Reshape", projected, graph.numbers(0, 0, heads, width // heads)), perm=order
        )

    query, value = by_head("q", (0, 2, 1, 3)), by_head("v", (0, 2, 1, 3))
    likeness = graph.add("MatMul", query, by_head("k", (0, 2, 3, 1)))
    scaled = graph.add("Mul", likeness, graph.constant(np.float32((width // heads) ** -0.5)))
    shares = graph.add("Softmax", graph.add("Add", scaled, mask), axis=-1)
    mixed = graph.add("Transpose", graph.add("MatMul", shares, value), perm=(0, 2, 1, 3))
    joined = graph.add("Reshape", mixed, graph.numbers(0, 0, width))
    return _linear(graph, source, f"{layer}ao", joined, width, width)


def _linear(graph: "_Graph", source: Q4File, name: str, state: str, rows: int, columns: int) -> str:
    product = graph.multiply(source.matrix(f"{name}.w", rows, columns), state)
    return graph.add("Add", product, graph.constant(source.vector(f"{name}.b")))


def _normalised(graph: "_Graph", source: Q4File, name: str, state: str) -> str:
    scale, shift = (graph.constant(source.vector(f"{name}.{part}")) for part in "wb")
    return graph.add("LayerNormalization", state, scale, shift, axis=-1, epsilon=source.shape.epsilon)


class _Graph:
    """Nodes and constants, in the order in which they are added; every output has a name of its own."""

    def __init__(self) -> None:
        from onnx import TensorProto

        self.nodes: list[NodeProto] = []
        self.constants: list[Tensor] = []
        self.float_type = TensorProto.FLOAT

    def add(self, operator: str, *inputs: str, output: str | None = None, domain: str = "", **attributes: Any) -> str:
        from onnx import helper

        output = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, domain=domain, **attributes))
        return output

    def constant(self, values: NDArray[Any] | np.generic) -> str:
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(np.asarray(values)), name))
        return name

    def numbers(self, *values: int) -> str:
        """Add a list of whole numbers: axes, or a shape in which 0 keeps a size."""
        return self.constant(np.array(values, np.int64))

    def multiply(self, matrix: Matrix, state: str) -> str:
        """Multiply by the transpose of a matrix (outputs × inputs)."""
        rows, columns = matrix.numbers.shape
        return self.add(
            "MatMulNBits",
            state,
            self.constant(_packed(matrix.numbers).reshape(rows, columns // BLOCK, BLOCK // 2)),
            self.constant(matrix.scales.reshape(-1)),
            domain=_RUNTIME,
            K=columns,
            N=rows,
            bits=4,
            block_size=BLOCK,
            accuracy_level=_FULL_PRECISION,
        )

    def look_up(self, matrix: Matrix, rows: str) -> str:
        """Take rows of a matrix by their numbers."""
        from onnx import TensorProto

        signed = TensorProto(name="words", data_type=TensorProto.INT4, dims=matrix.numbers.shape)
        signed.raw_data = _packed((matrix.numbers - np.uint8(8)) & np.uint8(15)).tobytes()
        self.constants.append(signed)
        return self.add(
            "GatherBlockQuantized",
            signed.name,
            rows,
            self.constant(matrix.scales),
            domain=_RUNTIME,
            bits=4,
            block_size=BLOCK,
            gather_axis=0,
            quantize_axis=1,
        )


def _packed(numbers: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Put each two neighbours of four bits into one byte, the first in its lower half."""
    pairs = numbers.reshape(-1, 2)
    return np.bitwise_or(pairs[:, 0], np.left_shift(pairs[:, 1], 4), dtype=np.uint8)
