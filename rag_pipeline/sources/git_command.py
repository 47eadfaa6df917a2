"""Running the git command line on repositories that may be hostile.

Commands see one configuration (``git.config`` beside this file), no prompt, no hooks, no variables of a
surrounding git, and reach only the transports https, ssh, git and local files.
"""

import functools
import hashlib
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Generator, Sequence
from pathlib import Path

from rag_pipeline.errors import ConfigurationError, DocumentError, TransientError

_OLDEST = (2, 32)
_CONFIG = Path(__file__).with_name("git.config")
_KEPT = frozenset({"GIT_ASKPASS", "GIT_EXEC_PATH", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH"})
_OBJECT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_PASSWORD = re.compile(r"(?<=://)[^/\s]*@")
_BLOCK = 1 << 16


class GitFailed(TransientError):
    """A git command failed; the text is git's own words. A caller that knows better says what it means."""


def run(git_dir: Path, *arguments: str, timeout: float = 60, keep_open: Sequence[int] = ()) -> bytes:
    """Run a git command to its end and return its output. Raises `GitFailed`, also when it takes too long.

    `keep_open` are descriptors that the command inherits and holds as long as it lives.
    """
    with _start(git_dir, arguments, stderr=subprocess.PIPE, keep_open=keep_open) as process:
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise GitFailed(f"git {arguments[0]} took longer than {timeout:.0f} s") from error
        finally:
            _end(process)
    if process.returncode:
        raise GitFailed(_words(arguments[0], process.returncode, errors))
    return output


def tokens(git_dir: Path, *arguments: str) -> Generator[bytes, None, None]:
    """Yield the NUL-terminated pieces of a git command's output while it runs; closing the iterator ends it.

    Raises `GitFailed` after the last piece when the command failed.
    """
    with tempfile.TemporaryFile() as errors:
        process = _start(git_dir, arguments, stderr=errors.fileno())
        with process:
            try:
                assert process.stdout is not None
                rest = b""
                while block := os.read(process.stdout.fileno(), _BLOCK):
                    *whole, rest = (rest + block).split(b"\0")
                    yield from whole
                process.wait()
            finally:
                _end(process)
        if process.returncode:
            errors.seek(0)
            raise GitFailed(_words(arguments[0], process.returncode, errors.read(10_000)))


class BlobReader:
    """Reads blobs by their id through one long-lived ``git cat-file``; safe to call from several threads."""

    def __init__(self, git_dir: Path) -> None:
        self._git_dir = git_dir
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, blob: str, limit: int) -> bytes:
        """Return a blob's bytes, proven by their hash. Raises `DocumentError`, also above `limit` bytes."""
        if not _OBJECT_ID.fullmatch(blob):
            raise DocumentError(f"{blob[:80]!r} is not the id of a git blob")
        with self._lock:
            try:
                data = self._ask(blob, limit)
                if data is None:
                    self._stop()
                    data = self._ask(blob, limit)
            except BaseException:
                self._stop()
                raise
        if data is None:
            raise DocumentError(f"git cat-file dies on blob {blob}")
        algorithm = "sha1" if len(blob) == 40 else "sha256"
        actual = hashlib.new(algorithm, b"blob %d\0" % len(data), usedforsecurity=False)
        actual.update(data)
        if actual.hexdigest() != blob:
            raise DocumentError(f"git returned other bytes than blob {blob}'s; delete {self._git_dir} to fetch it anew")
        return data

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._stop()

    def _ask(self, blob: str, limit: int) -> bytes | None:
        """Return the blob's bytes, or None when the process has died. After an error it must be stopped."""
        if self._process is None:
            self._process = _start(self._git_dir, ("cat-file", "--batch"), stdin=subprocess.PIPE)
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None
        assert answers is not None
        try:
            os.write(requests.fileno(), blob.encode() + b"\n")
        except BrokenPipeError:
            return None
        header = answers.readline().split()
        if not header:
            return None
        if header[1] != b"blob":
            raise DocumentError(f"the mirror holds no blob {blob}; the next refresh lists anew")
        size = int(header[2])
        if size > limit:
            raise DocumentError(f"has {size:,} bytes, more than the {limit:,} allowed")
        data = answers.read(size + 1)
        return data[:-1] if len(data) == size + 1 else None

    def _stop(self) -> None:
        if self._process is not None:
            with self._process as process:
                _end(process)
            self._process = None


@functools.cache
def check_version() -> None:
    """Raise `ConfigurationError` when git is missing or too old."""
    needed = ".".join(map(str, _OLDEST))
    try:
        words = subprocess.run(["git", "--version"], capture_output=True, check=True, text=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigurationError(f"git sources need git {needed} or later; install it: {error}") from error
    found = re.search(r"(\d+)\.(\d+)", words)
    if not found or (int(found[1]), int(found[2])) < _OLDEST:
        raise ConfigurationError(f"git sources need git {needed} or later, not {words.strip()!r}; upgrade it")


def without_password(text: str) -> str:
    """Return the text without the user and password of the urls in it."""
    return _PASSWORD.sub("", text)


def _start(
    git_dir: Path,
    arguments: Sequence[str],
    stdin: int = subprocess.DEVNULL,
    stderr: int = subprocess.DEVNULL,
    keep_open: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["git", f"--git-dir={git_dir}", *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=_environment(),
        cwd="/",
        pass_fds=keep_open,
        start_new_session=True,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the command, and what it started, unless it has ended."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _KEPT}
    return {
        "GIT_ASKPASS": "",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=30 -oServerAliveInterval=15",
        **kept,
        "GIT_ALLOW_PROTOCOL": "file:git:https:ssh",
        "GIT_CONFIG_GLOBAL": str(_CONFIG),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


def _words(command: str, code: int, errors: bytes) -> str:
    """Return what git said, as one line without control characters."""
    text = without_password(" ".join(errors.decode(errors="replace").split()))
    return "".join(character if character.isprintable() else "?" for character in text)[:1000] or (
        f"git {command} ended with code {code}"
    )
