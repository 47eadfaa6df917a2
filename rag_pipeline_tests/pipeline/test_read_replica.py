"""Searches ask a read replica where one is named: the same rights, what it has replayed, also without its primary."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from rag_pipeline.database.cluster import run
from rag_pipeline.database.connection import connect
from rag_pipeline.database.embedded import EmbeddedServer
from rag_pipeline.database.installation import binaries, server_account
from rag_pipeline.database.migrate import prepare
from rag_pipeline.database.pool import reader_pool
from rag_pipeline.errors import TransientError
from rag_pipeline.model import Access
from rag_pipeline.query import Caller, Index
from rag_pipeline.settings import Queries, Settings
from rag_pipeline_tests.scripted import Entry, scripted

PUBLIC, HR = Access.of(["public"]), Access.of(["group:hr"])


@contextmanager
def replica_of(primary: EmbeddedServer) -> Iterator[EmbeddedServer]:
    """A streaming replica: the copy of a data folder, started as every embedded server is."""
    home = primary.home.with_name("replica")
    account = server_account(primary.home / "data")
    home.mkdir()
    if account:
        home.chmod(0o711)
        os.chown(home, account.uid, account.gid)
    source = make_conninfo(primary.url("postgres"), dbname="replication")
    command = [binaries(account) / "pg_basebackup", "-D", home / "data", "-R", "-c", "fast", "-d", source]
    copied = run(command, account)
    assert copied.status == 0, copied.output
    server = EmbeddedServer(home)
    server.ensure()
    try:
        yield server
    finally:
        server.stop()


def wait_for_replay(primary: Settings, replica: Settings) -> None:
    with connect(primary, role=None) as session:
        position = session.execute("select pg_current_wal_lsn()::text").fetchone()
    assert position is not None
    with psycopg.connect(replica.database.read_url or "", autocommit=True) as session:
        for _ in range(4_000):
            if session.execute("select pg_last_wal_replay_lsn() >= %s::pg_lsn", position).fetchone() == (True,):
                return
            time.sleep(0.05)
    pytest.fail("the replica did not catch up")


def found(settings: Settings, caller: str) -> set[str]:
    with Index.connect(settings) as index:
        return {hit.document_id for hit in index.search("what it says", caller=Caller(caller), k=50)}


def test_a_replica_answers_as_the_primary_would(home: Path) -> None:
    server = EmbeddedServer(home)
    server.ensure()
    primary = Settings.model_validate(
        {"folder": home, "database": {"url": server.url("rag")}, "embedding": {"provider": "hashed"}}
    )
    prepare(primary)
    pipeline, world = scripted(primary, "wiki")
    world.documents["open.md"] = Entry("# Open\n\nWhat it says.\n", PUBLIC)
    world.documents["pay.md"] = Entry("# Pay\n\nWhat it says of pay.\n", HR)
    pipeline.refresh("wiki")
    with replica_of(server) as standby:
        database = {**primary.database.model_dump(), "read_url": standby.url("rag")}
        replica = Settings.model_validate({**primary.model_dump(), "folder": home, "database": database})
        with reader_pool(replica) as pool, pool.connection() as session:
            assert session.execute("select pg_is_in_recovery(), current_user::text").fetchone() == (True, "rag_reader")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute("select * from rag_g1.chunks")

        assert (found(replica, "public"), found(replica, "group:hr")) == ({"open.md"}, {"open.md", "pay.md"})
        world.documents["new.md"] = Entry("# New\n\nWhat it says since.\n", PUBLIC)
        world.documents["open.md"].access = HR
        pipeline.refresh("wiki")
        with connect(primary) as session:
            session.execute("insert into rag.principal_members values ('user:ana', 'group:hr')")
        wait_for_replay(primary, replica)
        for caller in ("public", "group:hr", "user:ana"):
            assert found(replica, caller) == found(primary, caller)
        assert found(replica, "user:ana") == {"open.md", "pay.md", "new.md"}

        # What is asked of the replica is written down where it can be.
        logged = replica.model_copy(update={"queries": Queries(log=True)})
        assert found(logged, "public") == {"new.md"}
        with connect(primary) as session:
            assert session.execute("select question, hits from rag.query_log").fetchall() == [("what it says", 1)]

        server.stop()
        assert found(logged, "public") == {"new.md"}
        with pytest.raises(TransientError, match=r"does not answer.*\[database\] url right"):
            found(primary, "public")
    with pytest.raises(TransientError, match=r"does not answer.*\[database\] read_url right"):
        found(replica, "public")
