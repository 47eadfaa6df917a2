"""The product as a person runs it: a workspace of two sources, the command, and servers that are waited for."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from rag_pipeline.settings import Settings
from rag_pipeline.stages import Pipeline

COMMAND = Path(sys.executable).with_name("rag-pipeline")
_CONFIGURATION = """
[database]
url = "{url}"
[embedding]
provider = "hashed"
[[sources]]
name = "handbook"
type = "files"
path = "handbook"
access = ["public"]
[[sources]]
name = "salaries"
type = "files"
path = "salaries"
access = ["group:hr"]
"""

T = TypeVar("T")


def workspace_of_two(folder: Path, url: str, handbook: str, salaries: str, more: str = "") -> Settings:
    """Write a workspace of a source for everybody and one for group:hr, a page in each; nothing is indexed yet.

    `more` is added to its rag.toml.
    """
    for name, text in (("handbook", handbook), ("salaries", salaries)):
        (folder / name).mkdir()
        (folder / name / "page.md").write_text(text)
    (folder / "rag.toml").write_text(_CONFIGURATION.format(url=url) + more)
    return Settings.load(folder, {})


def indexed(workspace: Settings) -> Settings:
    """Refresh each source, whose one page is new."""
    for source in workspace.sources:
        assert Pipeline(workspace).refresh(source.name).added == 1
    return workspace


def wait_for(condition: Callable[[], T], seconds: float) -> T:
    """Return the first true value of a condition."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"still waiting after {seconds} seconds"
        time.sleep(0.5)
    return value


def free_port() -> int:
    """Return a port of this machine on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(
    command: Sequence[str | Path], folder: Path, environ: Mapping[str, str], healthy: str, log: Path, seconds: float
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server in a folder, wait until the address `healthy` answers, and interrupt it at the end.

    What it starts is of its group and ends with it, however the test ends; what it says is in `log`.
    """
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environ, stdout=output, stderr=output, start_new_session=True
        )
    try:
        wait_for(lambda: process.poll() is None and is_up(healthy), seconds)
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def is_up(address: str) -> bool:
    """Whether a server answers well at an address."""
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False
