"""A bare mirror of one repository in a cache folder, made equal to the origin on demand.

The folder is named after the url, so that another url starts another mirror. A lock held by the fetching
command itself, not only by its parent, keeps two fetches apart and outlives a parent that was killed;
whoever holds it may therefore remove what a killed fetch left behind.
"""

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rag_pipeline.errors import ConfigurationError, TransientError
from rag_pipeline.sources.git_command import GitFailed, check_version, run

FETCH_SECONDS = 3600.0
_HEAD = "refs/origin/HEAD"
_WRONG_URL = (
    "does not appear to be a git repository",
    "not found",
    "does not exist",
    "not a git repository",
    "invalid gitfile format",
    "not allowed",
    "authentication failed",
    "could not read username",
    "could not read password",
    "permission denied",
    "returned error: 403",
    "host key verification failed",
    "unable to find remote helper",
    "is not a valid",
    "mismatched algorithms",
    "strange hostname",
    "strange pathname",
)


class Mirror:
    """The mirror of `url` below `cache`; `label` is what error messages call it."""

    def __init__(self, url: str, cache: Path, label: str) -> None:
        self._url = url
        self._cache = cache
        self._label = label
        self.git_dir = cache / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}.git"

    def update(self, ref: str) -> None:
        """Fetch what `resolve` needs for a ref: the origin's HEAD if it is that, else all branches and tags.

        Raises `ConfigurationError` when the origin is wrong or refuses, `TransientError` when it cannot
        be reached now; the mirror must then not be used, for it may be stale.
        """
        check_version()
        self._cache.mkdir(parents=True, exist_ok=True)
        with self._locked() as lock:
            self._tidy()
            run(self.git_dir, "init", "--quiet", "--bare", "--template=", "--initial-branch=none")
            try:
                if ref != "HEAD" or not self._fetch_head(lock):
                    self._fetch(lock, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
            except GitFailed as error:
                words = str(error)
                if any(sign in words.lower() for sign in _WRONG_URL):
                    raise ConfigurationError(
                        f"{self._label}.url: git says: {words}; correct the url or its rights"
                    ) from error
                raise TransientError(f"{self._label}.url: git says: {words}") from error

    def resolve(self, ref: str) -> str:
        """Return the commit that a ref names: a branch before a tag before a commit's id.

        Raises `ConfigurationError` when it names none.
        """
        names = [_HEAD] if ref == "HEAD" else [f"refs/heads/{ref}", f"refs/tags/{ref}", ref]
        for name in names:
            with suppress(GitFailed):
                commit = run(self.git_dir, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
                return commit.decode().strip()
        branches = run(self.git_dir, "for-each-ref", "--count=10", "--format=%(refname:lstrip=2)", "refs/heads")
        known = ", ".join(branches.decode(errors="replace").split()) or "none"
        raise ConfigurationError(f"{self._label}.ref: {ref!r} names no commit; branches: {known}")

    def _fetch_head(self, lock: int) -> bool:
        """Fetch the origin's HEAD, or return False when it has none: an empty repository, a bundle of branches."""
        try:
            self._fetch(lock, f"+HEAD:{_HEAD}")
        except GitFailed as error:
            if "couldn't find remote ref HEAD" not in str(error):
                raise
            run(self.git_dir, "update-ref", "-d", _HEAD)
            return False
        return True

    def _fetch(self, lock: int, *refs: str) -> None:
        run(
            self.git_dir,
            *("fetch", "--quiet", "--prune", "--no-tags", "--force", "--update-shallow"),
            *("--no-recurse-submodules", "--no-write-fetch-head", "--", self._url, *refs),
            timeout=FETCH_SECONDS,
            keep_open=[lock],
        )

    @contextmanager
    def _locked(self) -> Iterator[int]:
        lock = os.open(self._cache / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            end = time.monotonic() + FETCH_SECONDS
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() > end:
                        raise TransientError(f"{self._label}: another refresh has been fetching for an hour") from error
                    time.sleep(0.1)
            yield lock
        finally:
            os.close(lock)

    def _tidy(self) -> None:
        """Remove mirrors of former urls and the lock files of a fetch that was killed."""
        for folder in self._cache.glob("*.git"):
            if folder != self.git_dir:
                shutil.rmtree(folder, ignore_errors=True)
        for pattern in ("*.lock", "refs/**/*.lock", "objects/*.lock", "objects/pack/tmp_*"):
            for leftover in self.git_dir.glob(pattern):
                leftover.unlink(missing_ok=True)
