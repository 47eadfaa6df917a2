"""One refresh in a process of its own, so that its peak of memory is its own: ``python -m benchmarks.refresh_process``.

Takes the folder of a rag.toml and the name of a source; prints one JSON object.
"""

import json
import resource
import sys
import time
from pathlib import Path

from rag_pipeline.settings import Settings
from rag_pipeline.stages import Pipeline

_STATUS = Path("/proc/self/status")


def peak_mb() -> float:
    """Return the largest amount of memory that this program ever held, in MB.

    On Linux not from getrusage: its figure survives exec, so a child would report its parent's peak.
    """
    if _STATUS.exists():
        (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    folder, source = sys.argv[1:]
    imports = peak_mb()
    started = time.perf_counter()
    published = Pipeline(Settings.read(Path(folder) / "rag.toml", environ={})).refresh(source)
    seconds = time.perf_counter() - started
    print(json.dumps({"listed": published.listed, "imports_mb": imports, "peak_mb": peak_mb(), "seconds": seconds}))


if __name__ == "__main__":
    main()
