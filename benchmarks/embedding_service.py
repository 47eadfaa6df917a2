"""How near buying vectors comes to what latency, concurrency and size of requests allow, and how much memory it holds.

The service (`benchmarks.embedding_service_process`) shares the machine, so that its work counts against the figures.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.embedding_stream_process import texts
from benchmarks.options import Options
from benchmarks.report import Report, median, say
from benchmarks.workbench import Workbench, environment, workbench
from rag_pipeline.embeddings import open_embedder
from rag_pipeline.settings import Embedding

TITLE = "Embedding services"
_MILLISECONDS = 50
_SHARE = 0.8
_GOAL = (256, 64, 4)
_CASES = (_GOAL, (256, 256, 4), (1536, 64, 4), (1536, 256, 8))
"""Dimensions, texts of a request, requests at once."""


def run(report: Report, options: Options) -> None:
    """Buy the same texts in several ways, then many in one."""
    rows: list[tuple[str | float | int | None, ...]] = []
    count = 300 if options.quick else 20_000
    for case in _CASES[:1] if options.quick else _CASES:
        dimensions, batch, at_once = case
        # The sample that every request carries is no text.
        bound = (batch - 1) * at_once * 1000 / _MILLISECONDS
        rates, stored = [], []
        with _service(dimensions) as address:
            settings = address | {"batch_texts": batch, "requests_at_once": at_once}
            for number in range(options.repeats):
                say(f"{dimensions} dimensions, {at_once} requests of {batch}, repeat {number + 1}")
                rates.append(_rate(settings, count))
                with workbench() as bench:
                    stored.append(count / _stream(bench, settings, count)["seconds"])
        rows.append(
            (f"{dimensions}", batch, at_once, bound, median(rates), median(stored), 100 * median(stored) / bound)
        )
        if case == _GOAL:
            for what, measured in (("bought", median(rates)), ("bought and stored", median(stored))):
                share = measured / bound
                report.goal(
                    f"texts {what}, of what latency allows", f"≥ {_SHARE:.0%}", f"{share:.0%}", "", share >= _SHARE
                )
    sizes = (200, 1_000) if options.quick else (50_000, 1_000_000)
    found: list[dict[str, Any]] = []
    with _service(16) as address:
        for size in sizes:
            with workbench() as bench:
                say(f"{size:,} texts")
                found.append(_stream(bench, address | {"batch_texts": 2048, "requests_at_once": 4}, size))
    ratio = found[1]["peak_mb"] / found[0]["peak_mb"]
    report.goal(f"peak of memory at {sizes[1]:,} texts to peak at {sizes[0]:,}", "≤ 1.1", ratio, "", ratio <= 1.1)
    report.text(
        f'`provider = "openai"` over HTTP against a service in a process of its own on the same two cores, which '
        f"answers {_MILLISECONDS} ms after a request came in; {count:,} distinct texts of some 40 tokens. The bound is "
        "requests at once times texts of a request (less the sample) by that time; *bought* is the embedder alone, "
        f"*stored* is the whole stage, looked up and committed request by request; median of {options.repeats}."
    )
    report.table(
        ("dimensions", "texts a request", "at once", "bound, texts/s", "bought/s", "stored/s", "stored, % of bound"),
        rows,
    )
    report.table(
        ("texts", "MB before", "peak MB", "seconds"),
        [
            (f"{size:,}", each["before_mb"], each["peak_mb"], each["seconds"])
            for size, each in zip(sizes, found, strict=True)
        ],
    )


@contextmanager
def _service(dimensions: int) -> Iterator[dict[str, Any]]:
    """Run the service; gives the settings that ask it."""
    command = [sys.executable, "-m", "benchmarks.embedding_service_process", str(_MILLISECONDS), str(dimensions)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        try:
            yield {"provider": "openai", "model": "bench", "dimensions": dimensions, "base_url": url}
        finally:
            process.communicate()


def _rate(settings: dict[str, Any], count: int) -> float:
    embedder = open_embedder(Embedding.model_validate(settings))
    embedder.sample()
    asked = list(texts(count))
    started = time.perf_counter()
    bought = sum(len(batch.positions) for batch in embedder.embed(asked))
    assert bought == count
    return count / (time.perf_counter() - started)


def _stream(bench: Workbench, settings: dict[str, Any], count: int) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.embedding_stream_process",
        bench.folder,
        json.dumps(settings),
        str(count),
    ]
    finished = subprocess.run(command, env=environment(), check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(finished.stdout)
