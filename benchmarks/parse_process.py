"""A folder parsed by a process of its own, whose peaks of memory are its own: ``python -m benchmarks.parse_process``.

Takes a folder; prints one JSON object with the peak of the process itself and that of its largest parser process.
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.refresh_process import peak_mb
from rag_pipeline.documents.isolation import Job, Parsers
from rag_pipeline.errors import DocumentError
from rag_pipeline.settings import Parsing

_EVERY_SECONDS = 0.02
_WORKER = "rag_pipeline.documents.worker"


class _Watch(threading.Thread):
    """Looks again and again how large the largest child process is."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_mb = 0.0
        self._end = threading.Event()

    def run(self) -> None:
        this = psutil.Process()
        while not self._end.wait(_EVERY_SECONDS):
            for child in this.children():
                with suppress(psutil.Error):  # it ended meanwhile
                    if _WORKER in child.cmdline():  # until then it shows its parent's memory as its own
                        self.peak_mb = max(self.peak_mb, child.memory_info().rss / 2**20)

    def stop(self) -> None:
        self._end.set()
        self.join()


def main() -> None:
    folder = Path(sys.argv[1])
    watch = _Watch()
    watch.start()
    documents = characters = 0
    started = time.perf_counter()
    with Parsers(Parsing()) as parsers:
        for job, document in parsers.parse_each(_jobs(folder)):
            if isinstance(document, DocumentError):
                raise RuntimeError(f"{job.payload}: {document}")
            documents += 1
            characters += len(document.text)
    seconds = time.perf_counter() - started
    watch.stop()
    found = {"documents": documents, "characters": characters, "seconds": seconds}
    print(json.dumps(found | {"peak_mb": peak_mb(), "largest_worker_mb": watch.peak_mb}))


def _jobs(folder: Path) -> Iterator[Job]:
    for file in sorted(folder.iterdir()):
        yield Job(file, file.read_bytes(), None, file.name)


if __name__ == "__main__":
    main()
