"""The object_store source against a real S3 server in this process, local folders and memory."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import settings as examples

from rag_pipeline.errors import ConfigurationError, DocumentError, TransientError
from rag_pipeline.model import NOBODY, PUBLIC, Access, DocumentRef, ListingEnd
from rag_pipeline.settings import ObjectStoreSettings
from rag_pipeline.sources.contract import assert_source_contract
from rag_pipeline.sources.files import FilesSource
from rag_pipeline.sources.object_store import ObjectStoreSource
from rag_pipeline.sources.object_store_entries import changed_at, version_token
from rag_pipeline.sources.source import MAX_DOCUMENT_BYTES
from rag_pipeline_tests.unit.sources import listings
from rag_pipeline_tests.unit.sources.listings import folder_for_example, listing, trees, write
from rag_pipeline_tests.unit.sources.s3_server import S3Server, s3_server


@pytest.fixture(scope="module")
def running() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def s3(running: S3Server) -> S3Server:
    """The running server with one empty bucket and without faults."""
    running.forget()
    running.client().create_bucket(Bucket="docs")
    running.requests.clear()
    return running


def source(url: str, **changes: Any) -> ObjectStoreSource:
    values = {"name": "x", "type": "object_store", "url": url, "access": [PUBLIC], **changes}
    return ObjectStoreSource(ObjectStoreSettings.model_validate(values))


def bucket(server: S3Server, prefix: str = "p", **changes: Any) -> ObjectStoreSource:
    options = {"endpoint_url": server.url, "config_kwargs": {"retries": {"max_attempts": 0}}}
    return source(f"s3://docs/{prefix}", options=options, **changes)


def test_lists_and_fetches_what_the_globs_ask_for(s3: S3Server) -> None:
    s3.put("docs", dict.fromkeys(("p/a.md", "p/b.txt", "p/d/c.md", "p/d/drafts/e.md", "other/f.md", "p2/g.md"), b"x"))
    docs = bucket(s3, include=["**/*.md"], exclude=["**/drafts"])
    docs.check()
    found = listing(docs)
    assert list(found.documents) == ["a.md", "d/c.md"]
    assert found.end.complete
    assert not found.failures
    assert found == listing(docs)
    assert {docs.fetch(ref) for ref in found.documents.values()} == {b"x"}


def test_a_bucket_keeps_the_contract(s3: S3Server) -> None:
    s3.put("docs", {"p/a.md": b"one", "p/b/c.md": b"two", "p/b/d e.md": b""})

    @contextmanager
    def outage() -> Iterator[None]:
        s3.fault = lambda method, path: 403 if "b" in path.partition("prefix=")[2] else None
        yield
        s3.fault = lambda method, path: None

    def remove(name: str) -> None:
        s3.client().delete_object(Bucket="docs", Key=f"p/{name}")

    assert_source_contract(lambda: bucket(s3), remove=remove, outage=outage)


def test_a_document_says_what_the_store_knows(s3: S3Server) -> None:
    s3.put("docs", {"p/d/a é #1.md": b"four"})
    document = listing(bucket(s3)).documents["d/a é #1.md"]
    assert document.uri == "s3://docs/p/d/a%20%C3%A9%20%231.md"
    assert document.modified_at is not None
    assert abs(document.modified_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert (document.size, document.media_type, document.access) == (4, "text/markdown", Access((PUBLIC,)))


def test_the_token_changes_with_the_bytes_only(s3: S3Server) -> None:
    s3.put("docs", {"p/a": b"1", "p/b": b"1"})
    docs = bucket(s3)
    before = listing(docs).documents
    s3.put("docs", {"p/a": b"2", "p/c": b"new"})
    after = listing(docs).documents
    assert before["a"].version != after["a"].version
    assert before["b"] == after["b"]
    assert after["c"].version


def test_an_object_of_several_parts_has_a_token_and_comes_back_whole(s3: S3Server) -> None:
    client, part = s3.client(), b"p" * (5 << 20)
    upload = client.create_multipart_upload(Bucket="docs", Key="p/big")["UploadId"]
    where = {"Bucket": "docs", "Key": "p/big", "UploadId": upload}
    parts = [
        {"PartNumber": number, "ETag": client.upload_part(**where, PartNumber=number, Body=body)["ETag"]}
        for number, body in ((1, part), (2, b"end"))
    ]
    client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    docs = bucket(s3)
    document = listing(docs).documents["big"]
    assert "-2" in (document.version or "")
    assert docs.fetch(document) == part + b"end"


def test_a_listing_of_several_pages_is_whole(s3: S3Server) -> None:
    s3.put("docs", {f"p/{number:04}.md": b"" for number in range(1001)})
    s3.requests.clear()
    found = listing(bucket(s3))
    assert len(found.documents) == 1001
    assert found.end.complete
    assert sum("list-type=2" in request for request in s3.requests) == 2


def test_an_error_after_the_first_page_is_never_complete(s3: S3Server) -> None:
    s3.put("docs", {f"p/{number:04}.md": b"" for number in range(1001)} | {"p/zz/a.md": b""})
    s3.fault = lambda method, path: 403 if "continuation-token" in path else None
    assert not listing(bucket(s3)).end.complete
    s3.fault = lambda method, path: 400 if "prefix=p%2Fzz" in path or "prefix=p/zz" in path else None
    found = listing(bucket(s3))
    assert not found.end.complete
    assert len(found.documents) == 1001


def test_pages_that_lead_in_a_circle_are_never_complete(s3: S3Server) -> None:
    s3.put("docs", {f"p/{number:04}.md": b"" for number in range(1001)})
    s3.circles = True
    found = listing(bucket(s3))
    assert not found.end.complete
    assert found.end.reason


def test_a_folder_that_may_not_be_listed_costs_only_completeness(s3: S3Server) -> None:
    s3.put("docs", dict.fromkeys(("p/a/1", "p/b/1", "p/c/1"), b"x"))
    s3.fault = lambda method, path: 403 if "p%2Fb" in path or "p/b" in path else None
    found = listing(bucket(s3))
    assert list(found.documents) == ["a/1", "c/1"]
    assert not found.end.complete
    assert "'b'" in (found.end.reason or "")


def test_names_that_would_not_come_back_are_failures(s3: S3Server) -> None:
    odd = {"p//x.md": "/", "p/a/../q.md": "a/../", "p/./r.md": "./", "p/n/": "n/", "p/v?versionId=1": "v?versionId=1"}
    s3.put("docs", dict.fromkeys(odd, b"x") | {"p/marker/": b"", "p/v": b"another", "p/tab\t.md": b"t", "p/e": b""})
    docs = bucket(s3)
    found = listing(docs)
    assert set(found.failures) == set(odd.values())
    assert {name: docs.fetch(ref) for name, ref in found.documents.items()} == {
        "v": b"another",
        "tab\t.md": b"t",
        "e": b"",
    }
    assert found.end.complete
    for path in ("/x.md", "a/../q.md", "n/", ""):
        with pytest.raises(DocumentError, match="not a key"):
            docs.fetch(DocumentRef(path, ""))


def test_an_empty_prefix_is_a_complete_listing_of_nothing(s3: S3Server) -> None:
    docs = bucket(s3, "nothing/here")
    docs.check()
    assert listing(docs) == listings.Listing({}, {}, ListingEnd(complete=True))


@pytest.mark.parametrize("url", ["s3://missing", "s3://missing/p"])
def test_a_bucket_that_does_not_exist_is_an_error(s3: S3Server, url: str) -> None:
    docs = source(url, options={"endpoint_url": s3.url})
    with pytest.raises(ConfigurationError, match="s3://missing does not exist"):
        docs.check()
    assert not listing(docs).end.complete
    with pytest.raises(TransientError, match="does not exist"):
        docs.fetch(DocumentRef("a", "", size=1))


def test_an_object_is_no_prefix(s3: S3Server) -> None:
    s3.put("docs", {"p/a.md": b"x"})
    docs = bucket(s3, "p/a.md")
    with pytest.raises(ConfigurationError, match="is one object"):
        docs.check()
    assert not listing(docs).end.complete


def test_what_went_away_or_changed_after_the_listing(s3: S3Server) -> None:
    s3.put("docs", {"p/gone": b"1", "p/changed": b"1", "p/empty": b"", "p/emptied": b"1"})
    docs = bucket(s3)
    found = listing(docs).documents
    s3.client().delete_object(Bucket="docs", Key="p/gone")
    s3.client().delete_object(Bucket="docs", Key="p/empty")
    s3.put("docs", {"p/changed": b"22", "p/emptied": b""})
    assert docs.fetch(found["changed"]) == b"22"
    for name in ("gone", "empty"):
        with pytest.raises(DocumentError, match="is gone"):
            docs.fetch(found[name])
    with pytest.raises(DocumentError):
        docs.fetch(found["emptied"])
    again = listing(docs).documents
    assert docs.fetch(again["emptied"]) == b""
    assert set(again) == {"changed", "emptied"}


def test_too_large_is_a_failure_and_never_downloaded(s3: S3Server) -> None:
    s3.put("docs", {"p/large": b"x" * (MAX_DOCUMENT_BYTES + 1)})
    docs = bucket(s3)
    s3.requests.clear()
    found = listing(docs)
    assert "more than" in found.failures["large"]
    assert not [request for request in s3.requests if "GET /docs/p/large" in request]
    with pytest.raises(DocumentError, match="more than"):
        docs.fetch(DocumentRef("large", "", size=3))


@pytest.mark.parametrize("status", [500, 503])
def test_a_store_in_trouble_is_tried_again_later(s3: S3Server, status: int) -> None:
    s3.put("docs", {"p/a": b"1"})
    docs = bucket(s3)
    found = listing(docs).documents
    docs._store.retries = 1
    s3.fault = lambda method, path: status
    with pytest.raises(TransientError):
        docs.check()
    with pytest.raises(TransientError):
        docs.fetch(found["a"])
    assert not listing(docs).end.complete


def test_a_store_that_nobody_answers_for_is_tried_again_later() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        options = {
            "endpoint_url": address,
            "key": "k",
            "secret": "s",
            "config_kwargs": {"retries": {"max_attempts": 0}},
        }
        docs = source("s3://docs/p", options=options)
        docs._store.retries = 1
        with pytest.raises(TransientError):
            docs.check()


def test_forbidden_is_a_matter_of_configuration_or_of_one_document(s3: S3Server) -> None:
    s3.put("docs", {"p/a": b"1"})
    docs = bucket(s3)
    found = listing(docs).documents
    s3.fault = lambda method, path: 403
    with pytest.raises(ConfigurationError, match="credentials"):
        docs.check()
    with pytest.raises(DocumentError):
        docs.fetch(found["a"])


def test_lists_of_readers_narrow_and_fail_closed(s3: S3Server) -> None:
    s3.put(
        "docs",
        {
            "p/open.md": b"1",
            "p/hr/.access.toml": b'access = ["group:hr"]',
            "p/hr/a.md": b"1",
            "p/hr/x/.access.toml": b'access = ["public"]\ndeny = ["user:bo"]',
            "p/hr/x/b.md": b"1",
            "p/wrong/.access.toml": b"acess = []",
            "p/wrong/c.md": b"1",
            "p/folder/.access.toml/d.md": b"1",
            "p/folder/e.md": b"1",
        },
    )
    found = listing(bucket(s3))
    assert {path: document.access for path, document in found.documents.items()} == {
        "open.md": Access.of([PUBLIC]),
        "hr/a.md": Access.of(["group:hr"]),
        "hr/x/b.md": Access.of(["group:hr"], ["user:bo"]),
        "wrong/c.md": NOBODY,
        "folder/e.md": NOBODY,
    }
    assert set(found.failures) == {"wrong/.access.toml", "folder/.access.toml"}


def test_a_list_of_readers_that_is_out_of_reach_for_now_ends_the_listing(s3: S3Server) -> None:
    s3.put("docs", {"p/a/.access.toml": b'access = ["group:hr"]', "p/a/a.md": b"1"})
    docs = bucket(s3)
    docs._store.retries = 1
    s3.fault = lambda method, path: 503 if "access.toml" in path else None
    found = listing(docs)
    assert not found.documents
    assert not found.end.complete


@given(trees())
@examples(max_examples=20, deadline=None)
def test_a_local_folder_is_listed_as_the_files_source_lists_it(tree: dict[str, bytes]) -> None:
    with folder_for_example() as folder:
        write(folder, tree)
        ours = listing(source(folder.as_uri()))
        theirs = listing(FilesSource(listings.files(folder), folder))
        assert ours.failures.keys() == theirs.failures.keys()
        assert ours.end == theirs.end
        assert [(ref.document_id, ref.uri, ref.access, ref.size) for ref in ours.documents.values()] == [
            (ref.document_id, ref.uri, ref.access, ref.size) for ref in theirs.documents.values()
        ]


def test_links_and_special_files_are_counted_and_never_opened(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    write(root, {"a.md": b"a", "b.md": b"b", "d/c.md": b"c"})
    write(outside, {"secret.md": b"secret", "c.md": b"secret"})
    os.symlink(outside / "secret.md", root / "link.md")
    os.symlink(outside, root / "folder")
    os.mkfifo(root / "pipe.md")
    docs = source(root.as_uri())
    found = listing(docs)
    assert set(found.documents) == {"a.md", "b.md", "d/c.md"}
    assert docs.skipped == {"links and special files": 3}
    (root / "b.md").unlink()
    os.symlink(outside / "secret.md", root / "b.md")
    (root / "d").rename(root / "old")
    os.symlink(outside, root / "d")
    for name in ("b.md", "d/c.md"):
        with pytest.raises(DocumentError, match="symbolic link"):
            docs.fetch(found.documents[name])


def test_a_name_that_is_not_utf8_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"bad\xff.md")).write_bytes(b"x")
    assert list(listing(source(tmp_path.as_uri())).failures) == ["./bad\\xff.md"]


def test_a_folder_that_is_missing_is_never_an_empty_listing(tmp_path: Path) -> None:
    docs = source((tmp_path / "missing").as_uri())
    with pytest.raises(ConfigurationError, match="does not exist"):
        docs.check()
    assert not listing(docs).end.complete


def test_memory_has_no_tokens_so_everything_is_read() -> None:
    store = MemoryFileSystem()
    store.pipe({"/shelf/a.md": b"a", "/shelf/d/b.md": b"b"})
    docs = source("memory://shelf")
    docs.check()
    found = listing(docs)
    assert {path: (docs.fetch(ref), ref.version) for path, ref in found.documents.items()} == {
        "a.md": (b"a", None),
        "d/b.md": (b"b", None),
    }
    store.rm("/shelf/a.md")
    with pytest.raises(DocumentError, match="is gone"):
        docs.fetch(found.documents["a.md"])
    assert list(listing(docs).documents) == ["d/b.md"]
    store.rm("/shelf", recursive=True)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("docs", "not the URL of one store"),
        ("simplecache::s3://docs", "not the URL of one store"),
        ("https://docs.example.com", "website"),
        ("sftp://me:secret@host/docs", "password"),
        ("s3://", "names no bucket"),
        ("nosuch://docs", "nosuch"),
    ],
)
def test_urls_that_can_never_work(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as error:
        source(url).check()
    assert "secret" not in str(error.value)


def test_options_that_the_driver_does_not_know() -> None:
    with pytest.raises(ConfigurationError, match="options"):
        source("s3://docs", options={"config_kwargs": {"no_such_option": 1}}).check()


@pytest.mark.skipif(find_spec("gcsfs") is not None, reason="gcsfs is installed, so its driver is not missing")
def test_a_missing_driver_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"rag-pipeline\[gcs\]"):
        source("gs://docs/p").check()


def test_tokens_and_times_of_other_drivers() -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    old = datetime(2020, 1, 1, tzinfo=UTC)
    assert changed_at({"updated": "2020-01-01T00:00:00Z"}) == old
    assert changed_at({"last_modified": old.replace(tzinfo=None)}) == old
    assert changed_at({"mtime": old.timestamp()}) == old
    assert changed_at({"updated": "yesterday", "size": 1}) is None
    assert version_token({"mtime": old.timestamp(), "size": 1}, now)
    assert version_token({"mtime": now.timestamp() - 1, "size": 1}, now) is None
    assert version_token({"size": 1}, now) is None
    tokens = {
        version_token({"content_md5": bytearray(b"\1"), "size": 1, "last_modified": now}, now),
        version_token({"content_md5": bytearray(b"\2"), "size": 1, "last_modified": now}, now),
        version_token({"content_md5": bytearray(b"\1"), "size": 2, "last_modified": now}, now),
        version_token({"content_md5": bytearray(b"\1"), "size": 1, "last_modified": old}, now),
    }
    assert len(tokens) == 4
    assert None not in tokens
