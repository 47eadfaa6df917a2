"""One refresh through the stage functions, with the seconds of each."""

import time
from collections.abc import Callable
from typing import TypeVar

from rag_pipeline.handover import Published
from rag_pipeline.stages import Pipeline

STAGES = ("source_snapshot", "content_hashes", "changed_documents", "chunks", "embeddings", "published_index")

T = TypeVar("T")


def timed_refresh(pipeline: Pipeline, source: str) -> tuple[Published, dict[str, float]]:
    """Run the stages one by one; return what was published and each stage's seconds, in order.

    The first stage's seconds include what the pipeline prepares when it is new, as in every run.
    """
    seconds: dict[str, float] = {}

    def timed(stage: str, run: Callable[[], T]) -> T:
        started = time.perf_counter()
        result = run()
        seconds[stage] = time.perf_counter() - started
        return result

    snapshot = timed("source_snapshot", lambda: pipeline.source_snapshot(source))
    hashes = timed("content_hashes", lambda: pipeline.content_hashes(snapshot))
    changes = timed("changed_documents", lambda: pipeline.changed_documents(hashes))
    chunked = timed("chunks", lambda: pipeline.chunks(changes))
    embedded = timed("embeddings", lambda: pipeline.embeddings(chunked))
    published = timed("published_index", lambda: pipeline.published_index(embedded, sum(seconds.values())))
    return published, seconds
