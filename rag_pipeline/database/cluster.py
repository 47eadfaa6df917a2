"""The files of the embedded server, and how its programs are run on them.

    <home>/data         the database cluster, `server.log` and, with a TCP port in use, its `password`
    <home>/run          the folder of the unix socket, or a link to a shorter path

What is made here appears complete or not at all, so that a process killed half way leaves nothing to mend.
"""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from rag_pipeline.database.installation import OWN_SERVER, Account
from rag_pipeline.errors import ConfigurationError

SUPERUSER = "postgres"
# sockaddr_un holds 104 bytes on macOS, 108 on Linux; "/.s.PGSQL.65535" takes 15 of them.
_LONGEST_SOCKET_FOLDER = 88
_SETTINGS = {
    # An eighth of the memory, so that the index of a middling collection stays in it; taken only as it is used.
    "shared_buffers": f"{max(128, min(2048, psutil.virtual_memory().total // 2**23))}MB",
    "maintenance_work_mem": "512MB",
    "autovacuum_work_mem": "64MB",
    "max_connections": "100",
    "jit": "off",
    "random_page_cost": "1.1",
    "wal_compression": "pglz",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "log_checkpoints": "off",
    "client_connection_check_interval": "2s",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
if sys.platform == "linux":
    # Containers give /dev/shm 64 MB, which a parallel index build outgrows; System V memory has no such limit.
    _SETTINGS["dynamic_shared_memory_type"] = "sysv"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: its exit status and the end of what it printed."""

    status: int
    output: str


def run(command: Sequence[str | Path], account: Account | None, inherit: Sequence[int] = ()) -> Ended:
    """Run a program of Postgres to its end, detached from this process save for the descriptors in `inherit`."""
    # A file, not a pipe: the server would hold the pipe's end for as long as it lives.
    with tempfile.TemporaryFile() as output:
        ended = subprocess.run(
            [os.fspath(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            start_new_session=True,
            pass_fds=tuple(inherit),
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            check=False,
        )
        output.seek(0)
        return Ended(ended.returncode, output.read().decode("utf-8", errors="replace").strip()[-1500:])


def create_data(home: Path, programs: Path, account: Account | None) -> None:
    """Make ``<home>/data``. Raises `ConfigurationError` with what `initdb` said."""
    for abandoned in home.glob(".create-*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    half = Path(tempfile.mkdtemp(prefix=".create-", dir=home))
    _give(half, account)
    _write(half / "password", secrets.token_urlsafe(24), account)
    # The built-in provider folds case alike everywhere; LC_CTYPE C would make letters of “quotes” and — dashes.
    locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8", "--encoding=UTF8"]
    access = ["--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile", half / "password"]
    created = run([programs / "initdb", "-D", half / "data", "-U", SUPERUSER, *locale, *access], account)
    if created.status != 0:
        shutil.rmtree(half, ignore_errors=True)
        raise ConfigurationError(
            f"the embedded Postgres could not create its data in {home}: {created.output}\n"
            f"Correct what it says, {OWN_SERVER}"
        )
    with (half / "data" / "postgresql.conf").open("a") as file:
        file.write("include 'rag.conf'\n")
    (half / "password").rename(half / "data" / "password")
    (half / "data").rename(home / "data")
    half.rmdir()


def configure(home: Path, number: int, listen: str, account: Account | None) -> None:
    """Write the settings and make room for the socket. Only while no process of the server is left.

    `number` is the TCP port and names the socket; `listen` is the TCP address, or nothing.
    """
    folder = _make_socket_folder(home / "run", account)
    settings = {
        **_SETTINGS,
        "listen_addresses": listen,
        "port": str(number),
        "unix_socket_directories": f'"{folder}"',
        "unix_socket_permissions": "0700",
    }
    quoted = {name: value.replace("'", "''") for name, value in settings.items()}
    _write(home / "data" / "rag.conf", "".join(f"{name} = '{value}'\n" for name, value in quoted.items()), account)
    socket = folder / f".s.PGSQL.{number}"
    for stale in (home / "data" / "postmaster.pid", socket, socket.with_name(f"{socket.name}.lock")):
        stale.unlink(missing_ok=True)


def socket_folder(home: Path) -> Path:
    """Return the folder of the socket, by its short name where it has one."""
    run = home / "run"
    return run.readlink() if run.is_symlink() else run


def _make_socket_folder(run: Path, account: Account | None) -> Path:
    if len(os.fsencode(run)) <= _LONGEST_SOCKET_FOLDER:
        run.mkdir(mode=0o700, exist_ok=True)
        _give(run, account)
        return run
    # Always a new one: another user of the temporary folder cannot guess its name and prepare it.
    short = Path(tempfile.mkdtemp(prefix="rag-pg-"))
    _give(short, account)
    if run.is_symlink():
        shutil.rmtree(run.readlink(), ignore_errors=True)
        run.unlink()
    run.symlink_to(short)
    return short


def _give(path: Path, account: Account | None) -> None:
    if account:
        os.chown(path, account.uid, account.gid)


def _write(file: Path, text: str, account: Account | None) -> None:
    """Replace `file` by one that its owner alone may read."""
    descriptor, name = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(descriptor, "w") as new:
        new.write(text)
    _give(Path(name), account)
    Path(name).replace(file)
