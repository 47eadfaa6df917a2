"""A model by name is fetched from the hub once, then found without a network; without both, the error says what to do.

The real client asks a local hub, in processes of their own, because it reads its addresses when it is imported.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from rag_pipeline.embeddings.weights import hub
from rag_pipeline_tests.unit.embeddings.weights import hub_server
from rag_pipeline_tests.unit.embeddings.weights.tiny import vectors, write_tiny

NAME, REPOSITORY, WIDTH = "sentence-transformers/all-MiniLM-L6-v2", "Qdrant/all-MiniLM-L6-v2-onnx", 384
NOWHERE = "http://127.0.0.1:9"
PROGRAM = """
import json, sys
from rag_pipeline.embeddings import open_embedder
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.settings import Embedding
try:
    embedder = open_embedder(Embedding.model_validate({"model": sys.argv[1]}))
    found = {"model": embedder.model, "vector": embedder.embed_query("red green").tolist()}
except ConfigurationError as error:
    found = {"error": str(error)}
print(json.dumps(found))
"""


def opened(home: Path, endpoint: str, **more: str) -> dict[str, Any]:
    environment = {**os.environ, "HF_HOME": str(home), "HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    command = [sys.executable, "-c", PROGRAM, NAME]
    finished = subprocess.run(command, env=environment | more, capture_output=True, text=True, check=True, timeout=240)
    return json.loads(finished.stdout)


def test_a_model_is_fetched_once_and_then_needs_no_network(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "served", width=WIDTH)
    (folder / "pytorch_model.bin").write_bytes(b"what nobody loads")
    home = tmp_path / "home"
    with hub_server.hub(REPOSITORY, folder) as (endpoint, asked):
        fetched = opened(home, endpoint)
        assert not any(path.endswith(".bin") for path in asked)
        before = len(asked)
        assert opened(home, endpoint) == fetched
        assert len(asked) == before, "what is in the cache is not asked for"
    assert opened(home, NOWHERE) == fetched
    assert opened(home, NOWHERE, HF_HUB_OFFLINE="1") == fetched
    expected = vectors(width=WIDTH)[[2, 3]].mean(axis=0)
    assert np.allclose(fetched["vector"], expected / np.linalg.norm(expected), atol=1e-6)
    assert fetched["model"].startswith(f"{NAME}@")
    assert fetched["model"].endswith(f"/{WIDTH}")


def test_an_interrupted_download_goes_on(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "served", width=WIDTH)
    home = tmp_path / "home"
    with hub_server.hub(REPOSITORY, folder) as (endpoint, _):
        whole = opened(home, endpoint)
        (weights,) = home.rglob("snapshots/*/model.onnx")
        weights.unlink()
        assert opened(home, endpoint) == whole


def test_without_a_network_the_error_says_what_to_do(tmp_path: Path) -> None:
    for more in ({}, {"HF_HUB_OFFLINE": "1"}):
        error = opened(tmp_path, NOWHERE, **more)["error"]
        assert error.startswith(f"embedding.model: {NAME} is not on this machine and cannot be fetched from the hub (")
        assert error.endswith("; try again with a network, or give the folder of its files as embedding.path")


def test_other_weights_have_another_name(tmp_path: Path) -> None:
    names: set[str] = set()
    for seed in (1, 2):
        folder = write_tiny(tmp_path / f"served-{seed}", seed=seed, width=WIDTH)
        with hub_server.hub(REPOSITORY, folder) as (endpoint, _):
            names.add(opened(tmp_path / f"home-{seed}", endpoint)["model"])
    assert len(names) == 2


def test_names_are_found_in_any_case() -> None:
    entry = hub.known(NAME.upper())
    assert entry is not None
    assert entry.name == NAME
    assert NAME in hub.names()
    assert hub.known("nobody/nothing") is None
