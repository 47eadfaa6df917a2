"""The `tickets` source: three formats, one answer, and nothing broken that goes unsaid."""

import csv
import io
import json
import os
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from rag_pipeline.errors import ConfigurationError, DocumentError, TransientError
from rag_pipeline.model import Access, DocumentRef, Failure, ListingEnd
from rag_pipeline.settings import TicketsSettings
from rag_pipeline.sources.contract import assert_source_contract
from rag_pipeline.sources.records import instant
from rag_pipeline.sources.ticket import Ticket
from rag_pipeline.sources.tickets import TicketsSource
from rag_pipeline_tests.unit.sources.listings import (
    PUBLIC,
    Listing,
    folder_for_example,
    listing,
    lists_above,
    may_read,
    trees,
    write,
)

TWO = [{"id": 1, "title": "One", "body": "first"}, {"id": "b", "title": "Two", "body": "second"}]


def lines(records: list[Any]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def table(records: list[dict[str, Any]], delimiter: str = ",") -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, records[0], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().encode()


def source(folder: Path, path: str = ".", **more: Any) -> TicketsSource:
    values = {"name": "x", "type": "tickets", "path": path}
    return TicketsSource(TicketsSettings.model_validate(values | PUBLIC | more), folder)


def listed(folder: Path, path: str = ".", **more: Any) -> Listing:
    with closing(source(folder, path, **more)) as tickets:
        return listing(tickets)


def ticket(tickets: TicketsSource, ref: DocumentRef) -> Ticket:
    return Ticket.from_bytes(tickets.fetch(ref))


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    write(tmp_path, {"a.jsonl": lines(TWO), "b/c.json": json.dumps([{"id": 3, "title": "Three"}]).encode()})

    def remove(name: str) -> None:
        write(tmp_path, {"a.jsonl": lines([record for record in TWO if str(record["id"]) != name])})

    @contextmanager
    def outage() -> Iterator[None]:
        (tmp_path / "b" / "c.json").rename(tmp_path / "aside")
        write(tmp_path, {"b/c.json": b'[{"id": 3'})
        yield
        (tmp_path / "aside").rename(tmp_path / "b" / "c.json")

    assert_source_contract(lambda: source(tmp_path), remove=remove, outage=outage)


@pytest.mark.parametrize(
    ("name", "data", "more"),
    [
        ("a.json", json.dumps(TWO).encode(), {}),
        ("a.JSON", json.dumps({"x": {"tickets": TWO}}).encode(), {"records": "x.tickets"}),
        ("a.jsonl", lines(TWO), {}),
        ("a.ndjson", b"\xef\xbb\xbf" + lines(TWO).replace(b"\n", b"\r\n\r\n"), {}),
        ("a.csv", b"\xef\xbb\xbf" + table(TWO) + b"\r\n", {}),
        ("a.tsv", table(TWO, "\t").replace(b"\r\n", b"\n"), {}),
    ],
)
@pytest.mark.parametrize("single", [True, False])
def test_the_format_makes_no_difference(
    tmp_path: Path, name: str, data: bytes, more: dict[str, Any], single: bool
) -> None:
    write(tmp_path, {name: data})
    with closing(source(tmp_path, name if single else ".", **more)) as tickets:
        tickets.check()
        found = listing(tickets)
        assert found.end == ListingEnd(complete=True)
        assert {id_: ref.uri for id_, ref in found.documents.items()} == {
            id_: (tmp_path / name).as_uri() + f"#{id_}" for id_ in ("1", "b")
        }
        assert ticket(tickets, found.documents["b"]) == Ticket("Two", "second")


def test_what_is_mapped(tmp_path: Path) -> None:
    record = {
        "key": "OPS-1",
        "fields": {"summary": "S", "text": "<p>T</p>", "updated": "2024-05-01T12:00:00.000+0200"},
        "link": "https://jira.example/OPS-1",
        "who": "group:a, user:b",
        "said": [{"by": {"name": "ana"}, "what": "hm", "on": "2024"}],
    }
    write(tmp_path, {"a.jsonl": lines([record, record | {"key": "OPS-2", "link": "javascript:alert(1)", "who": 7}])})
    fields = {
        **{"id": "key", "title": "fields.summary", "body": "fields.text", "updated_at": "fields.updated"},
        **{"url": "link", "access": "who", "comments": "said"},
        **{"comment_author": "by.name", "comment_body": "what", "comment_at": "on"},
    }
    with closing(source(tmp_path, fields=fields, body_type="text/html", access=["group:a", "user:c"])) as tickets:
        first, second = listing(tickets).documents.values()
        found = ticket(tickets, first)
    assert (first.uri, first.modified_at) == (record["link"], datetime(2024, 5, 1, 10, tzinfo=UTC))
    assert second.uri == (tmp_path / "a.jsonl").as_uri() + "#OPS-2"
    assert (first.access, second.access) == (Access(("group:a",)), Access())
    assert (found.title, found.body, found.body_type) == ("S", "<p>T</p>", "text/html")
    assert [(comment.author, comment.body) for comment in found.comments] == [("ana", "hm")]


def test_a_new_export_of_the_same_tickets_changes_no_version(tmp_path: Path) -> None:
    def versions() -> dict[str, str | None]:
        return {name: ref.version for name, ref in listed(tmp_path).documents.items()}

    write(tmp_path, {"a.jsonl": lines(TWO)})
    before = versions()
    (tmp_path / "a.jsonl").unlink()
    write(tmp_path, {"b.json": json.dumps([dict(reversed(record.items())) for record in reversed(TWO)]).encode()})
    assert versions() == before
    write(tmp_path, {"b.json": json.dumps([TWO[0], TWO[1] | {"body": "new"}]).encode()})
    assert {name for name, version in versions().items() if version != before[name]} == {"b"}


def test_globs_and_endings_choose_the_files(tmp_path: Path) -> None:
    def one(name: str) -> bytes:
        return lines([{"id": name, "title": "T"}])

    paths = ["a.jsonl", "in/b.jsonl", "out/c.jsonl", "in/readme.md", "in/deep/d.ndjson"]
    write(tmp_path, {path: one(path) for path in paths})
    assert set(listed(tmp_path).documents) == {"a.jsonl", "in/b.jsonl", "out/c.jsonl", "in/deep/d.ndjson"}
    assert set(listed(tmp_path, include=["in/**"], exclude=["in/deep"]).documents) == {"in/b.jsonl"}


def test_links_are_not_followed_but_for_the_configured_one(tmp_path: Path) -> None:
    write(tmp_path, {"real/a.jsonl": lines(TWO), "place/b.jsonl": lines([{"id": 9, "title": "T"}])})
    (tmp_path / "place" / "link.jsonl").symlink_to(tmp_path / "real" / "a.jsonl")
    (tmp_path / "place" / "folder").symlink_to(tmp_path / "real")
    os.mkfifo(tmp_path / "place" / "pipe.jsonl")
    assert set(listed(tmp_path, "place").documents) == {"9"}
    (tmp_path / "latest.jsonl").symlink_to(tmp_path / "real" / "a.jsonl")
    found = listed(tmp_path, "latest.jsonl").documents
    assert found["1"].uri == (tmp_path / "latest.jsonl").as_uri() + "#1"


@pytest.mark.parametrize(
    ("name", "data", "kept", "message"),
    [
        ("a.jsonl", lines(TWO) + b'{"id": 3', {"1", "b"}, "'a.jsonl': line 3 is no JSON"),
        ("a.jsonl", b"\xff\n" + lines(TWO), {"1", "b"}, "'a.jsonl': line 1 is no JSON"),
        ("a.jsonl", b"[" * 100_000 + b"\n" + lines(TWO), {"1", "b"}, "line 1 is no JSON: nested too deeply"),
        ("a.jsonl", b"[1]\n" + lines(TWO), {"1", "b"}, "line 1 is no object"),
        ("a.jsonl", lines([{"title": "T"}, *TWO]), {"1", "b"}, "line 1 has no id in 'id'"),
        ("a.jsonl", lines([{"id": None}, {"id": 1.5}, {"id": True}, {"id": " "}, *TWO]), {"1", "b"}, "and 1 more"),
        ("a.json", json.dumps([7, *TWO]).encode(), {"1", "b"}, "'a.json': record 0 is no object"),
        ("a.json", json.dumps(TWO).encode()[:-1], set(), "'a.json': is no JSON"),
        ("a.json", json.dumps({"tickets": TWO}).encode(), set(), "its top level is no list; set records"),
        ("a.csv", table(TWO) + b"7,T\r\n", {"1", "b"}, "line 4 has 2 cells, but its header has 3"),
        ("a.csv", table(TWO) + b'7,T,"open', {"1", "b"}, "'a.csv': near line 4: unexpected end of data"),
        ("a.csv", b"id,title,title\r\n1,T,U\r\n", set(), "names a column twice"),
        ("a.csv", b"title,body\r\nT,U\r\n", set(), "line 2 has no id"),
        ("a.csv", b"id,title\r\n1,\xe9\r\n", set(), "'a.csv': near line 1: 'utf-8' codec"),
    ],
)
def test_what_is_broken_makes_the_listing_incomplete(
    tmp_path: Path, name: str, data: bytes, kept: set[str], message: str
) -> None:
    write(tmp_path, {name: data, "z.jsonl": lines([{"id": "other", "title": "T"}])})
    found = listed(tmp_path)
    assert not found.end.complete
    assert message in str(found.end.reason)
    assert set(found.documents) == kept | {"other"}


def test_a_line_or_a_file_beyond_the_bound_is_left_out_aloud(tmp_path: Path) -> None:
    huge = b'{"id": 5, "title": "' + b"x" * 50_000_000 + b'"}\n'
    write(tmp_path, {"a.jsonl": huge + lines(TWO), "b.json": b"[" + huge + b"]"})
    found = listed(tmp_path)
    assert set(found.documents) == {"1", "b"}
    assert "'a.jsonl': line 1 has more than 50,000,000 bytes" in str(found.end.reason)
    assert "'b.json': has more than 50,000,000 bytes; export JSON Lines" in str(found.end.reason)


def test_a_record_that_does_not_fit_is_a_failure_of_its_own(tmp_path: Path) -> None:
    records = [{"id": 1, "title": ["T"]}, {"id": 2}, {"id": "a\0b", "title": "T"}, {"id": 4, "title": "T"}]
    write(tmp_path, {"a.jsonl": lines(records)})
    found = listed(tmp_path)
    assert found.end.complete
    assert set(found.documents) == {"4"}
    assert {name: reason[:14] for name, reason in found.failures.items()} == {
        "1": "'title' holds ",
        "2": "says nothing; ",
        "a\ufffdb": "its id holds c",
    }


def test_what_vanishes_meanwhile_makes_the_listing_incomplete(tmp_path: Path) -> None:
    write(tmp_path, {path: lines([{"id": path, "title": "T"}]) for path in ("a.jsonl", "b.jsonl", "c/d.jsonl")})
    for vanishes, message in (("c", "folder 'c': No such file"), ("b.jsonl", "'b.jsonl': No such file")):
        with closing(source(tmp_path)) as tickets:
            items = tickets.list()
            next(items)
            (tmp_path / vanishes).rename(tmp_path / "aside")
            *_, end = items
            (tmp_path / "aside").rename(tmp_path / vanishes)
        assert isinstance(end, ListingEnd)
        assert not end.complete
        assert message in str(end.reason)
    for missing in ("nowhere", "nowhere.json"):
        end = listed(tmp_path, missing).end
        assert not end.complete
        assert "No such file" in str(end.reason)


def test_a_file_that_grows_meanwhile_makes_the_listing_incomplete(tmp_path: Path) -> None:
    write(tmp_path, {"a.jsonl": lines(TWO)})
    with closing(source(tmp_path)) as tickets:
        items = tickets.list()
        next(items)
        with (tmp_path / "a.jsonl").open("ab") as file:
            file.write(lines([{"id": 3, "title": "T"}]))
        *_, end = items
    assert isinstance(end, ListingEnd)
    assert "'a.jsonl': changed while being read" in str(end.reason)


def test_twins_are_left_to_the_framework(tmp_path: Path) -> None:
    write(tmp_path, {"a.jsonl": lines(TWO), "b.jsonl": lines(TWO)})
    with closing(source(tmp_path)) as tickets:
        *items, end = tickets.list()
    assert end == ListingEnd(complete=True)
    assert [item.document_id for item in items if isinstance(item, DocumentRef)] == ["1", "b", "1", "b"]


def test_what_is_fetched_is_what_was_listed(tmp_path: Path) -> None:
    write(tmp_path, {"a.jsonl": lines(TWO)})
    refs = listed(tmp_path).documents
    write(tmp_path, {"a.jsonl": lines([TWO[0] | {"body": "new"}])})
    with closing(source(tmp_path)) as tickets:
        with pytest.raises(DocumentError, match="'1': changed since it was listed"):
            tickets.fetch(refs["1"])
        with pytest.raises(DocumentError, match="'b': is no longer in"):
            tickets.fetch(refs["b"])
        write(tmp_path, {"a.jsonl": lines(TWO)})
        assert listing(tickets).documents == refs
        assert ticket(tickets, refs["b"]).title == "Two"
    write(tmp_path, {"a.jsonl": b"{"})
    with closing(source(tmp_path)) as tickets:
        with pytest.raises(DocumentError, match=r"'b': .*not everything could be read: 'a.jsonl': line 1"):
            tickets.fetch(refs["b"])
        with pytest.raises(DocumentError, match="no longer"):
            tickets.fetch(replace(refs["b"], document_id="other"))
    with closing(source(tmp_path, "nowhere")) as tickets, pytest.raises(TransientError, match="No such file"):
        tickets.fetch(refs["b"])


def test_many_tickets_in_flat_memory_and_one_pass(tmp_path: Path) -> None:
    """16 MB of tickets; a listing holds one line, fetching all of them a small index and one more pass."""
    with (tmp_path / "a.jsonl").open("wb") as file:
        file.writelines(lines([{"id": n, "title": f"T{n}", "body": "text " * 1600}]) for n in range(2_000))
    tracemalloc.start()
    try:
        with closing(source(tmp_path)) as tickets:
            refs = [ref for ref in tickets.list() if isinstance(ref, DocumentRef) and int(ref.document_id) % 50 == 0]
            assert tracemalloc.get_traced_memory()[1] < 3_000_000
            ticket(tickets, refs[0])
            (tmp_path / "a.jsonl").unlink()
            assert [ticket(tickets, ref).title for ref in refs] == [f"T{n}" for n in range(0, 2_000, 50)]
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("files", "path", "more", "message"),
    [
        ({}, "nowhere", {}, r"sources\[x\].path: .*nowhere: No such file or directory; name a file or folder"),
        ({"a.txt": b"x"}, "a.txt", {}, r"sources\[x\].path: .*a.txt is no export; name one that ends in .json"),
        ({"a.jsonl": lines(TWO)}, ".", {"fields": {"id": "key"}}, r"sources\[x\].fields: the first record has no id"),
        ({"a.jsonl": lines(TWO)}, ".", {"fields": {"title": "a", "body": "b"}}, "the first record says nothing"),
        ({"a.jsonl": lines([{"id": 1, "title": {}}])}, ".", {}, "the first record 'title' holds"),
    ],
)
def test_check_names_the_setting_and_the_remedy(
    tmp_path: Path, files: dict[str, bytes], path: str, more: dict[str, Any], message: str
) -> None:
    write(tmp_path, files)
    with closing(source(tmp_path, path, **more)) as tickets, pytest.raises(ConfigurationError, match=message):
        tickets.check()


def test_check_of_an_empty_folder(tmp_path: Path) -> None:
    with closing(source(tmp_path)) as tickets:
        tickets.check()
        assert listing(tickets).documents == {}


_TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=8)
_RECORDS = st.lists(
    st.fixed_dictionaries({"id": _TEXTS.filter(str.strip), "title": _TEXTS.map("T".__add__), "body": _TEXTS}),
    unique_by=lambda record: record["id"],
    min_size=1,
    max_size=5,
)
_FORMATS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "a.json": lambda records: json.dumps(records, ensure_ascii=False).encode(),
    "a.jsonl": lines,
    "a.csv": table,
    "a.tsv": lambda records: table(records, "\t"),
}


@effort(max_examples=60, deadline=None)
@given(_RECORDS, st.sampled_from(list(_FORMATS)))
def test_every_record_comes_back_as_it_was(records: list[dict[str, Any]], name: str) -> None:
    with folder_for_example() as folder:
        write(folder, {name: _FORMATS[name](records)})
        with closing(source(folder)) as tickets:
            found = listing(tickets)
            assert found.end.complete
            assert list(found.documents) == [record["id"] for record in records]
            for record in records:
                read = ticket(tickets, found.documents[record["id"]])
                assert (read.title, read.body) == (record["title"], record["body"])


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-05-01T10:00:00Z", datetime(2024, 5, 1, 10, tzinfo=UTC)),
        ("2024-05-01 12:00:00+02", datetime(2024, 5, 1, 10, tzinfo=UTC)),
        (" 2024-05-01 ", datetime(2024, 5, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", datetime(1970, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59-14:00", datetime(2200, 1, 1, tzinfo=UTC)),
        ("01/02/2024", None),
        ("infinity", None),
        ("", None),
        (1714557600, None),
        (None, None),
    ],
)
def test_moments(text: Any, moment: datetime | None) -> None:
    assert instant(text) == moment


@effort(max_examples=60, deadline=None)
@given(
    tree=trees(),
    who=st.lists(st.sampled_from(["public", "group:a", "user:c", "wrong", None]), min_size=3, max_size=3),
    default=st.sampled_from([["public"], ["group:a", "group:b"], []]),
)
def test_nobody_is_admitted_whom_any_list_on_the_way_keeps_out(
    tree: dict[str, bytes], who: list[str | None], default: list[str]
) -> None:
    exports = {path for path in tree if path.endswith(".md")}
    named = {path + number: name for path in exports for number, name in zip("123", who, strict=True)}
    tree = {path: content for path, content in tree.items() if path not in exports}
    for path in exports:
        records = [{"id": path + number, "title": "T", "who": named[path + number]} for number in "123"]
        tree[path.removesuffix("md") + "jsonl"] = lines(records)
    callers = [{"public", *more} for more in ((), ("group:a",), ("group:b",), ("user:c",), ("group:a", "user:c"))]
    with folder_for_example() as folder:
        write(folder, tree)
        found = listed(folder, access=default, deny=["user:d"], fields={"access": "who"})
    assert set(found.documents) == set(named)
    assert found.end.complete
    for name, document in found.documents.items():
        own = Access(() if named[name] in ("wrong", None) else (str(named[name]),))
        bounds = [own, Access(tuple(default) or ("public",), ("user:d",)), *lists_above(tree, name[:-1])]
        assert document.access is not None
        expected = Access(("public",))
        for bound in bounds:
            expected = expected.narrowed(bound)
            assert all(may_read(bound, caller) for caller in callers if may_read(document.access, caller))
        assert document.access == expected
    assert all(path.endswith(".access.toml") for path in found.failures)


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_an_access_file_that_is_no_file_admits_nobody(tmp_path: Path, kind: str) -> None:
    write(tmp_path, {"d/a.jsonl": lines([*TWO, {"id": 3, "title": []}]), "open.toml": b'access = ["public"]'})
    access_file = tmp_path / "d/.access.toml"
    if kind == "link":
        access_file.symlink_to("../open.toml")
    elif kind == "folder":
        write(tmp_path, {"d/.access.toml/b.jsonl": lines([{"id": 4, "title": "T"}])})
    else:
        os.mkfifo(access_file)
    with closing(source(tmp_path)) as tickets:
        *items, end = tickets.list()
    assert end == ListingEnd(complete=True)
    access = {item.document_id: item.access for item in items if isinstance(item, DocumentRef | Failure)}
    assert access == dict.fromkeys(["1", "b", "3", "d/.access.toml"], Access())
    assert (tmp_path / "d/.access.toml").as_uri() == str(items[-1].uri if isinstance(items[-1], Failure) else None)


def test_globs_do_not_hide_an_access_file(tmp_path: Path) -> None:
    write(tmp_path, {".access.toml": b'access = ["group:hr"]', "a.jsonl": lines(TWO)})
    found = listed(tmp_path, include=["*.jsonl"], exclude=["**/.*", "**/.access.toml"])
    assert [document.access for document in found.documents.values()] == [Access(("group:hr",))] * 2


def test_a_file_is_bound_by_its_folder_and_by_that_of_a_link_to_it(tmp_path: Path) -> None:
    write(tmp_path, {"real/a.jsonl": lines(TWO), "real/.access.toml": b'access = ["group:hr", "group:it"]'})
    assert listed(tmp_path, "real/a.jsonl").documents["1"].access == Access(("group:hr", "group:it"))
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "latest.jsonl").symlink_to(tmp_path / "real" / "a.jsonl")
    assert listed(tmp_path, "links/latest.jsonl").documents["1"].access == Access(("group:hr", "group:it"))
    write(tmp_path, {"links/.access.toml": b'access = ["group:it", "user:ana"]'})
    assert listed(tmp_path, "links/latest.jsonl").documents["1"].access == Access(("group:it",))
    write(tmp_path, {"links/.access.toml": b"acess = []"})
    found = listed(tmp_path, "links/latest.jsonl")
    assert found.documents["1"].access == Access()
    assert "nobody may read what it governs" in found.failures[".access.toml"]
