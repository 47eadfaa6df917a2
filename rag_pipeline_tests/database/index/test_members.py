"""Membership in groups: nested, never circular, spelled in one way, and followed wherever a caller is asked for."""

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from psycopg import Connection, sql

from rag_pipeline.database.connection import connect, open_session, server_url
from rag_pipeline.model import PUBLIC, Access, principal
from rag_pipeline.settings import Settings
from rag_pipeline_tests.scripted import Entry, scripted
from rag_pipeline_tests.world import effective

ADD = "insert into rag.principal_members (member, of_group) values (%s, %s)"
GROUPS = [f"group:{letter}" for letter in "abcdef"]
EDGES = st.lists(st.tuples(st.sampled_from(["user:ana", "user:bo", *GROUPS]), st.sampled_from(GROUPS)), max_size=14)
ANYTHING = st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=8)
ALMOST = st.tuples(
    st.sampled_from(["user", "group", "a_b", "Group", "", "1x"]), st.sampled_from([":", ": ", ""]), ANYTHING
)


def members(connection: Connection[Any]) -> set[tuple[str, str]]:
    return set(connection.execute("select member, of_group from rag.principal_members").fetchall())


def copy(connection: Connection[Any], edges: Iterable[tuple[str, str]]) -> None:
    with connection.cursor().copy("copy rag.principal_members (member, of_group) from stdin") as rows:
        for edge in edges:
            rows.write_row(edge)


def expanded(connection: Connection[Any], principals: Iterable[str] | None) -> list[str]:
    asked = None if principals is None else list(principals)
    row = connection.execute("select rag.effective_principals(%s)", [asked]).fetchone()
    assert row is not None
    return row[0]


@given(
    ALMOST.map("".join) | ANYTHING.map("user:".__add__) | st.text("ab: \u00a0\u0085\u2003\x1f\x7f\u0301e", max_size=12)
)
@hypothesis_settings(max_examples=400, deadline=None)
def spelled_alike(connection: Connection[Any], name: str) -> None:
    try:
        canonical = principal(name) == name != PUBLIC
    except ValueError:
        canonical = False
    if "\0" in name:
        return
    if canonical:
        assert connection.execute("select %s::rag.principal", [name]).fetchone() == (name,)
    else:
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("select %s::rag.principal", [name])


def test_the_database_spells_principals_as_the_model_does(connection: Connection[Any]) -> None:
    spelled_alike(connection)
    for length in (256, 257):
        name = "user:" + "x" * (length - 5)
        if length <= 256:
            connection.execute("select %s::rag.principal", [name])
        else:
            with pytest.raises(psycopg.errors.CheckViolation):
                connection.execute("select %s::rag.principal", [name])


def test_a_group_contains_all_below_it_and_never_itself(connection: Connection[Any]) -> None:
    @hypothesis_settings(max_examples=80, deadline=None)
    @given(EDGES)
    def check(edges: list[tuple[str, str]]) -> None:
        connection.execute("delete from rag.principal_members")
        kept: set[tuple[str, str]] = set()
        for member, group in edges:
            if member in effective([group], kept):
                with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="cannot become a member of"):
                    connection.execute(ADD, [member, group])
            elif (member, group) not in kept:
                connection.execute(ADD, [member, group])
                kept.add((member, group))
        assert members(connection) == kept
        for caller in (["user:ana"], ["user:bo", "group:c"], ["group:a", "group:a"], ["user:stranger"]):
            assert expanded(connection, caller) == sorted(effective(caller, kept))

    check()


def test_nobody_stays_nobody(connection: Connection[Any]) -> None:
    connection.execute(ADD, ["user:ana", "group:eng"])
    assert expanded(connection, []) == expanded(connection, None) == []
    row = connection.execute("select rag.effective_principals(array[null]::text[])").fetchone()
    assert row == ([],)


def test_a_circle_in_one_statement_is_refused_whole(connection: Connection[Any]) -> None:
    ring = [(f"group:{n}", f"group:{(n + 1) % 50}") for n in range(50)]
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation) as refused:
        copy(connection, ring)
    assert "directly or through other groups" in (refused.value.diag.message_detail or "")
    assert members(connection) == set()
    copy(connection, ring[:-1])
    assert len(expanded(connection, ["group:0"])) == 51
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
        connection.execute("update rag.principal_members set of_group = 'group:0' where member = 'group:48'")


def test_two_halves_of_a_circle_at_the_same_time(settings: Settings) -> None:
    """However they interleave, one of two open transactions is refused, and nobody waits for ever."""
    both_open = threading.Barrier(2)

    def add(half: tuple[str, str]) -> bool:
        with connect(settings, autocommit=False) as session:
            session.execute("select count(*) from rag.principal_members")
            both_open.wait(timeout=20)
            try:
                session.execute(ADD, half)
                session.commit()
            except psycopg.errors.IntegrityConstraintViolation:
                return False
            return True

    with ThreadPoolExecutor(2) as threads:
        for number in range(10):
            one, other = f"group:one{number}", f"group:other{number}"
            assert sorted(threads.map(add, [(one, other), (other, one)])) == [False, True]


def test_a_snapshot_of_the_past_may_not_judge(settings: Settings) -> None:
    with connect(settings, autocommit=False) as session:
        session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        with pytest.raises(psycopg.errors.InvalidTransactionState, match="repeatable read") as refused:
            session.execute(ADD, ["group:a", "group:b"])
        assert "read committed" in (refused.value.diag.message_hint or "")


@pytest.mark.parametrize(
    ("member", "group"),
    [
        *[("public", "group:a"), ("user:ana", "public"), ("user:ana", "user:bo"), ("group:a", "user:bo")],
        *[("user:ana", "group: a"), ("user:e\u0301", "group:a"), ("", "group:a"), ("user:ana", "GROUP:a")],
    ],
)
def test_what_nobody_may_be_a_member_of(connection: Connection[Any], member: str, group: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(ADD, [member, group])


# Every path follows membership


@pytest.fixture
def nested(settings: Settings) -> Settings:
    """Ana is in group:eng by way of group:core; one page is for engineers, one is not for them."""
    pipeline, world = scripted(settings, "wiki")
    world.documents["eng.md"] = Entry("# Engines\n\nOnly for engineers.\n", Access.of(["group:eng"]))
    world.documents["not-eng.md"] = Entry(
        "# Surprise\n\nA present for engineers.\n", Access.of(["public"], ["group:eng"])
    )
    pipeline.refresh("wiki")
    with pipeline.connected() as connection:
        for edge in (("user:ana", "group:core"), ("group:core", "group:eng")):
            connection.execute(ADD, edge)
    return pipeline.settings


def listed(connection: Connection[Any], caller: str) -> set[str]:
    rows = connection.execute(
        "select document_id from documents where acl_id in (select rag.visible_acl_ids(%s))", [[caller]]
    )
    return {row[0] for row in rows}


def test_membership_admits_and_denies_through_any_number_of_groups(nested: Settings) -> None:
    with connect(nested) as connection:
        connection.execute("set search_path = rag_g1, rag")
        assert listed(connection, "user:ana") == {"eng.md"}
        assert listed(connection, "group:core") == {"eng.md"}
        assert listed(connection, "user:bo") == {"not-eng.md"}
        connection.execute("delete from rag.principal_members where member = 'group:core'")
        assert listed(connection, "user:ana") == {"not-eng.md"}


def test_an_analyst_is_a_member_of_the_groups_too(nested: Settings, administrator: Connection[Any]) -> None:
    name = sql.Identifier("analyst_in_groups")
    administrator.execute(sql.SQL("drop role if exists {}").format(name))
    administrator.execute(sql.SQL("create role {} login in role rag_analyst").format(name))
    try:
        with open_session(server_url(nested, "rag"), role=None) as session:
            session.execute("insert into rag.analyst_principals values ('analyst_in_groups', 'user:ana')")
            session.execute(sql.SQL("set session authorization {}").format(name))
            for view in ("rag.documents", "rag.sections", "rag.chunks"):
                rows = session.execute(sql.SQL("select document_id from {}").format(sql.SQL(view)))  # pyright: ignore
                assert {row[0] for row in rows} == {"eng.md"}, view
            for secret in ("select * from rag.principal_members", "select rag.effective_principals(array['user:ana'])"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    session.execute(secret.encode())
    finally:
        administrator.execute(sql.SQL("drop role {}").format(name))


def test_a_reader_sees_no_membership(settings: Settings) -> None:
    with connect(settings, role="rag_reader") as reader:
        for secret in ("select * from rag.principal_members", "select rag.effective_principals(array['user:ana'])"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(secret.encode())
