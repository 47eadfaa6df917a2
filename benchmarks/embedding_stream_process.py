"""Stage 5 alone over made-up texts, in a process of its own: ``python -m benchmarks.embedding_stream_process``.

Takes the folder of a rag.toml, the settings of the model as JSON, and a number of texts; prints one JSON object.
"""

import hashlib
import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.corpus import sentence
from benchmarks.refresh_process import peak_mb
from benchmarks.workbench import SOURCE
from rag_pipeline.handover import CHUNKS, Changes, Chunked, Hashes, Snapshot
from rag_pipeline.parquet import ParquetWriter
from rag_pipeline.settings import Settings
from rag_pipeline.stages import Pipeline

_FOLDER = "stream"


def texts(count: int) -> Iterator[str]:
    """Yield distinct texts of some 40 tokens."""
    generator = random.Random("stream")
    known = [sentence(generator, 12) for _ in range(500)]
    return (f"{known[number % len(known)]} {number}" for number in range(count))


def _chunked(count: int, generation: int) -> Chunked:
    snapshot = Snapshot(SOURCE, 0, _FOLDER, datetime.now(UTC), True, None, count, 0, False)
    numbers = {field.name for field in fields(Changes)} - {"hashes", "approvals", "released", "generation"}
    changes = Changes(
        hashes=Hashes(snapshot, 0, 0, 0, 0, 0),
        approvals=(),
        released=(),
        generation=generation,
        **dict.fromkeys(numbers, 0),
    )
    return Chunked(changes, 0, 0, 0, 0, 0, count, 0, 0)


def main() -> None:
    folder, embedding, count = Path(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3])
    values = Settings.read(folder / "rag.toml", environ={}).model_dump() | {"folder": folder, "embedding": embedding}
    pipeline = Pipeline(Settings.model_validate(values))
    (pipeline.workspace.root / _FOLDER).mkdir(parents=True, exist_ok=True)
    with ParquetWriter(pipeline.workspace.file(_FOLDER, "chunks.parquet"), CHUNKS) as writer:
        for text in texts(count):
            row: dict[str, Any] = {"embed_hash": hashlib.sha256(text.encode()).digest(), "embed_text": text}
            writer.write(row)
    chunked = _chunked(count, pipeline.generation)
    # So that what is done once, such as reading the table of tokens, is not measured.
    pipeline.embedder.sample()
    before, started = peak_mb(), time.perf_counter()
    embedded = pipeline.embeddings(chunked)
    seconds = time.perf_counter() - started
    assert embedded.embedded == count
    print(json.dumps({"before_mb": before, "peak_mb": peak_mb(), "seconds": seconds}))


if __name__ == "__main__":
    main()
