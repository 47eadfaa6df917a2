"""From where a permission is written (source, folder, front matter, row) to what a search shows, and after a change."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from rag_pipeline.database.connection import connect
from rag_pipeline.query import Caller, Index
from rag_pipeline.settings import Settings
from rag_pipeline.stages import Pipeline

PEOPLE = ("user:ana", "user:bo", "user:cy", "user:di", "user:mallory", "public", "group:hr", "group:board", "group:eng")
# Cy is an engineer by way of two groups, Ana is in hr, Di in hr and on the board.
MEMBERS = {
    ("user:ana", "group:hr"),
    ("user:di", "group:hr"),
    ("user:di", "group:board"),
    ("user:cy", "group:core"),
    ("group:core", "group:eng"),
}
FILES = {
    "open.md": "# Open\n",
    "hr/.access.toml": 'access = ["group:hr", "user:bo"]\ndeny = ["user:ana"]\n',
    "hr/pay.md": "# Pay\n",
    "hr/board/.access.toml": 'access = ["group:board", "group:hr"]\n',
    "hr/board/plan.md": "# Plan\n",
    "hr/only-board.md": "---\naccess: [group:board]\n---\n# Only the board\n",
    "hr/wider.md": "---\naccess: [public]\n---\n# Wider\n",
    "eng.md": "---\naccess: [user:bo, group:eng]\n---\n# Engines\n",
    "nobody.md": "---\naccess: []\n---\n# Nobody\n",
    "unreadable.md": "---\naccess: [nonsense\n---\n# Unreadable\n",
    "odd/.access.toml": "access = group:hr\n",
    "odd/page.md": "# Odd\n",
}
# Who may read what, by hand; everything else is for nobody.
READERS = {
    "handbook/open.md": set(PEOPLE) - {"user:mallory"},
    "handbook/hr/pay.md": {"user:bo", "user:di", "group:hr"},
    "handbook/hr/board/plan.md": {"user:di", "group:hr"},
    "handbook/hr/wider.md": {"user:bo", "user:di", "group:hr"},
    "handbook/eng.md": {"user:bo", "user:cy", "group:eng"},
    "desk/1": {"user:ana", "user:di", "group:hr"},
    "desk/2": set(PEOPLE),
    "rows/1": {"user:cy", "group:eng"},
    "rows/2": {"user:bo"},
}


@pytest.fixture
def workspace(settings: Settings) -> Settings:
    """Files with folders and front matter, an export and a table with a list a row, and a source without access."""
    folder = settings.folder
    for name, text in FILES.items():
        file = folder / "handbook" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + f"\nWhat {name} says.\n" if name.endswith(".md") else text)
    (folder / "closed").mkdir()
    (folder / "closed" / "page.md").write_text("# Closed\n\nNobody said who may read it.\n")
    tickets = [
        {"id": 1, "title": "One", "body": "A ticket.", "readers": ["group:hr"]},
        {"id": 2, "title": "Two", "body": "Another ticket.", "readers": ["public"]},
        {"id": 3, "title": "Three", "body": "A ticket of nobody.", "readers": []},
        {"id": 4, "title": "Four", "body": "A ticket that forgot.", "readers": None},
        {"id": 5, "title": "Five", "body": "A ticket with a slip.", "readers": ["group:hr", "Ana"]},
    ]
    (folder / "desk.jsonl").write_text("\n".join(map(json.dumps, tickets)))
    with psycopg.connect(settings.database.url, autocommit=True) as connection:
        connection.execute("create schema help; create table help.rows (id int, title text, body text, readers text[])")
        connection.execute(
            "insert into help.rows values (1, 'R1', 'A row.', '{group:eng}'), (2, 'R2', 'A row.', '{user:bo}'), "
            "(3, 'R3', 'A row.', null)"
        )
    with connect(settings) as connection:
        for edge in MEMBERS:
            connection.execute("insert into rag.principal_members (member, of_group) values (%s, %s)", edge)
    fields = {"access": "readers"}
    sources: list[dict[str, Any]] = [
        {"name": "handbook", "type": "files", "path": "handbook", "access": ["public"], "deny": ["user:mallory"]},
        {"name": "closed", "type": "files", "path": "closed"},
        {"name": "desk", "type": "tickets", "path": "desk.jsonl", "fields": fields},
        {
            "name": "rows",
            "type": "sql",
            "url": settings.database.url,
            "query": "select * from help.rows",
            "fields": fields,
        },
    ]
    settings = Settings.model_validate({**settings.model_dump(), "folder": folder, "sources": sources})
    refresh(settings)
    return settings


def refresh(settings: Settings) -> None:
    for source in settings.sources:
        Pipeline(settings).refresh(source.name)


@pytest.fixture
def index(workspace: Settings) -> Iterator[Index]:
    with Index.connect(workspace) as index:
        yield index


def found(index: Index, *principals: str) -> set[str]:
    """What a search shows, windows and twins included, and what can be opened by its id."""
    caller = Caller(*principals)
    hits = index.search("what does it say", caller=caller, k=100)
    documents = {f"{hit.source}/{hit.document_id}" for hit in hits}
    assert {f"{window.source}/{window.document_id}" for window in hits.windows} == documents
    assert len(hits) < 100
    for hit in hits:
        for chunk in (hit.chunk_id, *hit.twins):
            passage = index.window(chunk, caller=caller)
            assert passage is not None
            documents.add(f"{passage.source}/{passage.document_id}")
    return documents


def readers(index: Index) -> dict[str, set[str]]:
    """Who, of the people, finds which document."""
    shown: dict[str, set[str]] = {}
    for person in PEOPLE:
        for document in found(index, person):
            shown.setdefault(document, set()).add(person)
    return shown


def test_every_way_to_write_a_permission_arrives_at_the_chunk(index: Index) -> None:
    assert readers(index) == READERS


def test_deny_wins_over_every_allow(index: Index) -> None:
    assert "handbook/hr/pay.md" in found(index, "user:bo")
    assert "handbook/hr/pay.md" not in found(index, "user:bo", "user:ana")
    assert "handbook/open.md" not in found(index, "group:hr", "user:mallory")


def test_principals_add_up_but_who_is_named_nowhere_is_the_public(index: Index) -> None:
    assert found(index, "user:stranger") == found(index, "public") == {"handbook/open.md", "desk/2"}
    assert found(index, "user:stranger", "group:eng") == found(index, "group:eng")


def test_only_what_is_shown_can_be_opened(workspace: Settings, index: Index) -> None:
    with connect(workspace) as connection:
        chunks = connection.execute("select chunk_id, source || '/' || document_id from rag.chunks").fetchall()
    for person in PEOPLE:
        opened = {
            document for chunk, document in chunks if index.window(chunk, caller=Caller(person), before=99, after=99)
        }
        assert opened == found(index, person)


def write(settings: Settings, name: str, text: str) -> None:
    (settings.folder / "handbook" / name).write_text(text)
    Pipeline(settings).refresh("handbook")


def test_a_changed_permission_is_in_force_after_the_refresh(workspace: Settings, index: Index) -> None:
    assert "handbook/open.md" in found(index, "public")
    write(workspace, "open.md", "---\naccess: [user:bo]\n---\n# Open\n\nWhat open.md says.\n")
    assert readers(index)["handbook/open.md"] == {"user:bo"}
    write(workspace, "open.md", "# Open\n\nWhat open.md says.\n")
    assert readers(index)["handbook/open.md"] == set(PEOPLE) - {"user:mallory"}
    write(workspace, "hr/.access.toml", 'access = ["user:cy"]\n')
    after = readers(index)
    assert after["handbook/hr/pay.md"] == after["handbook/hr/wider.md"] == {"user:cy"}
    assert "handbook/hr/board/plan.md" not in after, "the folder below admits groups that the one above no longer does"
    (workspace.folder / "handbook" / "hr" / ".access.toml").unlink()
    write(workspace, "hr/board/.access.toml", "access = [")
    after = readers(index)
    assert after["handbook/hr/pay.md"] == set(PEOPLE) - {"user:mallory"}
    assert "handbook/hr/board/plan.md" not in after


def test_a_changed_row_is_in_force_after_the_refresh(workspace: Settings, index: Index) -> None:
    with psycopg.connect(workspace.database.url, autocommit=True) as connection:
        connection.execute("update help.rows set readers = '{user:ana}' where id = 1")
        connection.execute("update help.rows set readers = null where id = 2")
    Pipeline(workspace).refresh("rows")
    after = readers(index)
    assert after["rows/1"] == {"user:ana"}
    assert "rows/2" not in after


def test_a_membership_is_in_force_at_once(workspace: Settings, index: Index) -> None:
    with connect(workspace) as connection:
        connection.execute("delete from rag.principal_members where member = 'group:core'")
        assert "handbook/eng.md" not in found(index, "user:cy")
        connection.execute("insert into rag.principal_members values ('user:mallory', 'group:eng')")
        assert "rows/1" in found(index, "user:mallory")
        assert "handbook/eng.md" not in found(index, "user:mallory"), "what denies a person outlasts any group"
        connection.execute("insert into rag.principal_members values ('group:board', 'group:hr')")
        assert "handbook/hr/pay.md" in found(index, "group:board")


def test_what_can_no_longer_be_read_is_shown_to_those_who_still_may(workspace: Settings, index: Index) -> None:
    """The last good version of a quarantined document stays, under the narrower of the lists of then and now."""
    pay = workspace.folder / "handbook" / "hr" / "pay.md"
    assert readers(index)["handbook/hr/pay.md"] == {"user:bo", "user:di", "group:hr"}
    pay.write_bytes(b"\x00\x01\x02" * 100)
    write(workspace, "hr/.access.toml", 'access = ["user:bo", "user:cy"]\n')
    assert quarantined(workspace) >= {"hr/pay.md"}
    shown = readers(index)["handbook/hr/pay.md"]
    assert "user:bo" in shown
    assert not {"user:di", "group:hr", "user:ana", "public"} & shown


def quarantined(settings: Settings) -> set[str]:
    with connect(settings) as connection:
        return {row[0] for row in connection.execute("select document_id from rag.quarantine")}


def test_a_mistake_is_listed_and_shows_nothing(workspace: Settings, index: Index) -> None:
    assert quarantined(workspace) >= {"unreadable.md", "odd/.access.toml"}
    shown = set().union(*(found(index, person) for person in PEOPLE))
    assert not {"handbook/unreadable.md", "handbook/odd/page.md"} & shown
    assert not {"desk/3", "desk/4", "desk/5", "rows/3", "closed/page.md", "handbook/nobody.md"} & shown
    with connect(workspace) as connection:
        published = {
            f"{source}/{name}" for source, name in connection.execute("select source, document_id from rag.documents")
        }
    assert {"desk/3", "rows/3", "closed/page.md", "handbook/nobody.md"} <= published, "hidden, not missing"
