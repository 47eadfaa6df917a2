"""How fast each kind of document is parsed behind the isolation, and that memory does not grow with a folder."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.options import Options
from benchmarks.report import Report, median, say
from benchmarks.workbench import environment
from rag_pipeline.documents.isolation import Job, Parsers
from rag_pipeline.documents.process import ParserProcess
from rag_pipeline.errors import DocumentError
from rag_pipeline.settings import Parsing
from rag_pipeline_tests.unit.documents.samples import SAMPLES, illustrated_pdf

TITLE = "Parsing"
_PARTS = 40
_DISTINCT = 20
_PICTURE_ROWS = 1_600  # 0.96 MB


def run(report: Report, options: Options) -> None:
    """Measure every kind on the same number of parts; then a folder of PDFs at a size and at ten times that size."""
    parts = 400 if options.quick else 20_000
    start = _start_up(options)
    rows = [_throughput(name, parts, options) for name in SAMPLES]
    small, large = (_folder(megabytes) for megabytes in ((1, 3) if options.quick else (20, 200)))

    for what, key in (("parent", "peak_mb"), ("largest parser process", "largest_worker_mb")):
        ratio = large[key] / small[key]
        sizes = f"{large['megabytes']:.0f} MB to {small['megabytes']:.0f} MB of PDFs"
        report.goal(f"peak memory of the {what}, {sizes}", "≤ 1.2", ratio, "", ratio <= 1.2)

    report.text(
        f"Generated documents of {_PARTS} parts each (paragraphs, functions, rows, cues, comments or slides; three "
        "paragraphs a PDF page) through `Parsers` with its default settings: a parser process for each core, whose "
        "start is in the time; short documents of the plain kinds (Markdown, text, source without a grammar) are "
        f"parsed in the caller's own process. Median of {options.repeats}. MB are those of the files; the text in "
        f"them is beside it. A parser process takes {1000 * start:.0f} ms to start."
    )
    report.table(("kind", "documents", "KB each", "text KB each", "seconds", "MB/s", "documents/s"), rows)
    report.text(
        "A folder of PDFs of 1 MB (14 pages and a picture), parsed by a process of its own. Peak resident memory of "
        "that process, imports and all, and of the largest of its parser processes, looked at every 20 ms."
    )
    report.table(
        ("folder", "documents", "parent MB", "largest parser process MB", "seconds", "documents/s"),
        [
            (
                f"{found['megabytes']:.0f} MB",
                found["documents"],
                found["peak_mb"],
                found["largest_worker_mb"],
                found["seconds"],
                found["documents"] / found["seconds"],
            )
            for found in (small, large)
        ],
    )


def _start_up(options: Options) -> float:
    """Seconds from the call to the first answer, less what that answer takes when it is asked for again."""
    limits, taken = Parsing(), list[float]()
    for _ in range(3 * options.repeats):
        started = time.perf_counter()
        process = ParserProcess(limits.seconds, limits.memory_mb)
        try:
            process.ask("text/plain", b"a")
            answered = time.perf_counter()
            process.ask("text/plain", b"a")
            taken.append(2 * answered - started - time.perf_counter())
        finally:
            process.stop()
    return median(taken)


def _throughput(name: str, parts: int, options: Options) -> tuple[str | int | float, ...]:
    kind, make = SAMPLES[name]
    say(name)
    count = parts // _PARTS
    distinct = [make(_PARTS + number) for number in range(min(count, _DISTINCT))]
    jobs = [Job(number, distinct[number % _DISTINCT], kind, name) for number in range(count)]
    characters = 0
    seconds: list[float] = []
    for _ in range(options.repeats):
        characters = 0
        started = time.perf_counter()
        with Parsers(Parsing()) as parsers:
            for _, document in parsers.parse_each(jobs):
                if isinstance(document, DocumentError):
                    raise RuntimeError(str(document))
                characters += len(document.text)
        seconds.append(time.perf_counter() - started)
    size = sum(len(job.data) for job in jobs if isinstance(job.data, bytes))
    taken = median(seconds)
    each = (size / len(jobs) / 1000, characters / len(jobs) / 1000)
    return name, len(jobs), *each, taken, size / taken / 1e6, len(jobs) / taken


def _folder(megabytes: int) -> dict[str, Any]:
    """Parse a folder of PDFs in a new process, and return what it found."""
    say(f"{megabytes} MB of PDFs")
    with tempfile.TemporaryDirectory() as folder:
        size = number = 0
        while size < megabytes * 1_000_000:
            data = illustrated_pdf(_PARTS + number % _DISTINCT, _PICTURE_ROWS)
            Path(folder, f"{number:05}.pdf").write_bytes(data)
            size += len(data)
            number += 1
        command = [sys.executable, "-m", "benchmarks.parse_process", folder]
        finished = subprocess.run(command, env=environment(), check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(finished.stdout) | {"megabytes": size / 1e6}
