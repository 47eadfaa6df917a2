"""The files source on real file systems: what is listed, what is refused, who may read."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from hypothesis import given, settings

from rag_pipeline.errors import ConfigurationError, DocumentError, TransientError
from rag_pipeline.model import PUBLIC, Access, DocumentRef
from rag_pipeline.sources import files as files_module
from rag_pipeline.sources.files import FilesSource
from rag_pipeline.sources.source import MAX_DOCUMENT_BYTES
from rag_pipeline_tests.unit.sources.listings import (
    files,
    folder_for_example,
    listing,
    lists_above,
    may_read,
    trees,
    write,
)


def source(path: Path, **changes: object) -> FilesSource:
    return FilesSource(files(path, **changes), path.parent)


def test_lists_what_the_globs_ask_for(tmp_path: Path) -> None:
    write(tmp_path, dict.fromkeys(("a.md", "b.txt", "d/c.md", "d/drafts/e.md", "drafts/f.md", ".git/g.md"), b"x"))
    found = listing(source(tmp_path, include=["**/*.md"], exclude=["**/drafts"]))
    assert list(found.documents) == ["a.md", "d/c.md"]
    assert found.end.complete
    assert not found.failures


def test_a_document_says_what_the_file_system_knows(tmp_path: Path) -> None:
    write(tmp_path, {"d/a é.md": b"four"})
    os.utime(tmp_path / "d/a é.md", ns=(0, 1_234_567_890_123_456_789))
    document = listing(source(tmp_path)).documents["d/a é.md"]
    assert Path(unquote(urlparse(document.uri).path)) == tmp_path / "d/a é.md"
    assert document.modified_at == datetime.fromtimestamp(1_234_567_890, UTC).replace(microsecond=123_456)
    assert (document.size, document.media_type, document.access) == (4, "text/markdown", Access((PUBLIC,)))


def test_a_token_appears_when_the_file_has_rested_and_changes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = files_module._RACY_NS
    write(tmp_path, {"a": b"1", "b": b"1"})
    monkeypatch.setattr(files_module, "_RACY_NS", 3_600_000_000_000)
    assert {item.version for item in listing(source(tmp_path)).documents.values()} == {None}
    monkeypatch.setattr(files_module, "_RACY_NS", rest)
    time.sleep(rest / 1e9 + 0.1)
    before = listing(source(tmp_path)).documents
    assert before == listing(source(tmp_path)).documents
    assert before["a"].version
    times = os.stat(tmp_path / "a")
    (tmp_path / "a").write_bytes(b"2")
    os.utime(tmp_path / "a", ns=(times.st_atime_ns, times.st_mtime_ns))
    after = listing(source(tmp_path)).documents
    assert after["a"].version != before["a"].version
    assert after["b"] == before["b"]


@pytest.mark.parametrize("seconds", [-(10**9), 0, 5 * 10**9, 15 * 10**9])
def test_odd_clocks_do_no_harm(tmp_path: Path, seconds: int) -> None:
    write(tmp_path, {"a": b"1"})
    os.utime(tmp_path / "a", (seconds, seconds))
    modified_at = listing(source(tmp_path)).documents["a"].modified_at
    assert modified_at is not None
    assert 1970 <= modified_at.year <= 2200


def test_links_and_special_files_are_counted_and_never_opened(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    write(root, {"a.md": b"a"})
    write(outside, {"secret.md": b"secret"})
    os.symlink(outside / "secret.md", root / "link.md")
    os.symlink(outside, root / "folder")
    os.symlink(".", root / "loop")
    os.mkfifo(root / "pipe.md")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket.md"))
        files_source = source(root)
        found = listing(files_source)
    assert list(found.documents) == ["a.md"]
    assert found.end.complete
    assert files_source.skipped == {"symbolic links": 3, "special files": 2}
    for path in (
        "link.md",
        "folder/secret.md",
        "loop/a.md",
        "pipe.md",
        "socket.md",
        "../outside/secret.md",
        "",
        "a.md/",
    ):
        with pytest.raises(DocumentError):
            files_source.fetch(DocumentRef(path, ""))
    assert files_source.fetch(found.documents["a.md"]) == b"a"


def test_a_root_that_is_a_link_is_followed(tmp_path: Path) -> None:
    write(tmp_path / "release-1", {"a.md": b"a"})
    os.symlink("release-1", tmp_path / "current")
    found = listing(source(tmp_path / "current"))
    assert found.documents["a.md"].uri.endswith("/current/a.md")


def test_odd_names_are_ids(tmp_path: Path) -> None:
    names = ["quo'te\".md", "new\nline.md", "100%.md", "🦄.md", "a" * 250, "\\x.md", " .md", "--help", "é.md"]
    names.append(unicodedata.normalize("NFD", "é.md"))
    write(tmp_path, {name: name.encode() for name in names})
    files_source = source(tmp_path)
    found = listing(files_source)
    assert set(found.documents) == set(names)
    assert all(document.uri.isascii() and document.uri.isprintable() for document in found.documents.values())
    assert all(files_source.fetch(document).decode() == name for name, document in found.documents.items())


def test_a_path_deeper_than_the_system_can_name_is_read(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=folder)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    with open("a.md", "wb", opener=lambda path, flags: os.open(path, flags, dir_fd=folder)) as file:
        file.write(b"deep")
    os.close(folder)
    files_source = source(tmp_path)
    (document,) = listing(files_source).documents.values()
    assert len(document.document_id) > 6_000
    assert files_source.fetch(document) == b"deep"
    shutil.rmtree(tmp_path / ("d" * 200))


def test_a_name_that_is_not_text_is_a_failure(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.md"))).write_bytes(b"x")
    write(tmp_path, {"caf\\xe9.md": b"a name that looks like it"})
    found = listing(source(tmp_path))
    assert list(found.documents) == ["caf\\xe9.md"]
    assert list(found.failures) == ["./caf\\xe9.md"]
    assert found.end.complete


def test_a_large_file_is_a_failure(tmp_path: Path) -> None:
    with open(tmp_path / "large.md", "wb") as file:
        file.truncate(MAX_DOCUMENT_BYTES + 1)
    files_source = source(tmp_path)
    assert "50,000,001 bytes" in listing(files_source).failures["large.md"]
    with pytest.raises(DocumentError, match="50,000,001"):
        files_source.fetch(DocumentRef("large.md", ""))


def test_a_vanished_file_is_a_document_error_and_a_vanished_root_is_not(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(root, {"d/a.md": b"x"})
    files_source = source(root)
    (document,) = listing(files_source).documents.values()
    (root / "d/a.md").unlink()
    with pytest.raises(DocumentError, match=r"d/a.md.*No such file"):
        files_source.fetch(document)
    shutil.rmtree(root)
    with pytest.raises(TransientError, match="mounted"):
        files_source.fetch(document)
    end = listing(files_source).end
    assert not end.complete
    assert end.reason
    assert str(root) in end.reason


def test_a_file_that_vanishes_during_the_listing_is_kept(tmp_path: Path) -> None:
    write(tmp_path, {"a.md": b"x", "b.md": b"x", "c.txt": b"x"})
    items = source(tmp_path, include=["**/*.md"]).list()
    first = next(items)
    (tmp_path / "b.md").unlink()
    (tmp_path / "c.txt").unlink()
    rest = list(items)
    assert getattr(first, "document_id", None) == "a.md"
    assert [type(item).__name__ for item in rest] == ["Failure", "ListingEnd"]


def test_a_folder_that_vanishes_during_the_listing_makes_it_incomplete(tmp_path: Path) -> None:
    write(tmp_path, {"a.md": b"x", "d/b.md": b"x", "e/c.md": b"x"})
    items = source(tmp_path).list()
    next(items)
    shutil.rmtree(tmp_path / "d")
    rest = list(items)
    assert [getattr(item, "document_id", "") for item in rest] == ["e/c.md", ""]
    assert not getattr(rest[-1], "complete", True)


def test_a_folder_swapped_for_a_link_is_not_entered(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(root, {"a.md": b"x", "d/b.md": b"x"})
    write(tmp_path / "outside", {"secret.md": b"x"})
    files_source = source(root)
    items = files_source.list()
    next(items)
    shutil.rmtree(root / "d")
    os.symlink(tmp_path / "outside", root / "d")
    (end,) = items
    assert not getattr(end, "complete", True)
    with pytest.raises(DocumentError):
        files_source.fetch(DocumentRef("d/secret.md", ""))


@pytest.mark.parametrize("path", ["missing", "file"])
def test_check_names_the_setting_and_the_remedy(tmp_path: Path, path: str) -> None:
    write(tmp_path, {"file": b"x"})
    with pytest.raises(ConfigurationError, match=r"rag\.toml: sources\[x\]\.path: .*; name a folder that exists"):
        source(tmp_path / path).check()
    source(tmp_path).check()


_AS_NOBODY = """
import json, os, sys
from pathlib import Path
from rag_pipeline.errors import RagError
from rag_pipeline.model import DocumentRef
from rag_pipeline.settings import FilesSettings
from rag_pipeline.sources.files import FilesSource

if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
source = FilesSource(FilesSettings(name="x", type="files", path=Path(sys.argv[1])), Path("/"))
*items, end = source.list()
try:
    source.fetch(DocumentRef("locked.md", ""))
    fetched = "read"
except RagError as error:
    fetched = str(error)
access = {item.document_id: item.access.allow for item in items if isinstance(item, DocumentRef)}
failures = {item.document_id: item.reason for item in items if not isinstance(item, DocumentRef)}
print(json.dumps([access, failures, end.complete, end.reason, fetched]))
"""


def test_without_permission_a_file_fails_and_a_folder_makes_the_listing_incomplete() -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        write(folder, {"a.md": b"x", "locked.md": b"x", "closed/b.md": b"x", "mute/c.md": b"x", "z/d.md": b"x"})
        write(folder, {"z/.access.toml": b'access = ["public"]'})
        modes = {"": 0o755, "locked.md": 0, "closed": 0, "mute": 0o644, "z/.access.toml": 0}
        for path, mode in modes.items():
            (folder / path).chmod(mode)
        arguments = [sys.executable, "-c", _AS_NOBODY, str(folder)]
        output = subprocess.run(arguments, capture_output=True, check=True, text=True).stdout
        access, failures, complete, reason, fetched = json.loads(output)
        assert access == {"a.md": [], "z/d.md": []}
        assert set(failures) == {"locked.md", "mute/c.md", "z/.access.toml"}
        assert "permission denied" in failures["locked.md"]
        assert not complete
        assert "'closed': Permission denied" in reason
        assert "Permission denied" in fetched
    finally:
        for path in ("closed", "mute"):
            (folder / path).chmod(0o755)
        shutil.rmtree(folder)


@settings(max_examples=60, deadline=None)
@given(tree=trees())
def test_access_is_never_wider_than_any_list_above(tree: dict[str, bytes]) -> None:
    default = Access.of(["group:a", "group:b"], ["user:d"])
    callers = [{"public", *names} for names in ((), ("group:a",), ("group:b",), ("user:c",), ("group:a", "user:d"))]
    with folder_for_example() as folder:
        write(folder, tree)
        found = listing(source(folder, access=default.allow, deny=default.deny))
    assert set(found.documents) == {path for path in tree if path.endswith(".md")}
    for path, document in found.documents.items():
        assert document.access is not None
        expected = default
        for access in [default, *lists_above(tree, path)]:
            expected = expected.narrowed(access)
            assert all(may_read(access, caller) for caller in callers if may_read(document.access, caller))
        assert document.access == expected
    assert all(path.endswith(".access.toml") for path in found.failures)


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_an_access_file_that_is_no_file_admits_nobody(tmp_path: Path, kind: str) -> None:
    write(tmp_path, {"d/a.md": b"x", "open.toml": b'access = ["public"]'})
    access_file = tmp_path / "d/.access.toml"
    if kind == "link":
        os.symlink("../open.toml", access_file)
    elif kind == "folder":
        write(tmp_path, {"d/.access.toml/b.md": b"x"})
    else:
        os.mkfifo(access_file)
    found = listing(source(tmp_path))
    assert set(found.documents) == {"open.toml", "d/a.md"}
    assert found.documents["d/a.md"].access == Access()
    assert "nobody may read" in found.failures["d/.access.toml"]


def test_globs_do_not_hide_an_access_file(tmp_path: Path) -> None:
    write(tmp_path, {".access.toml": b'access = ["group:hr"]', "a.md": b"x"})
    found = listing(source(tmp_path, include=["*.md"], exclude=["**/.*", "**/.access.toml"]))
    assert found.documents["a.md"].access == Access(("group:hr",))
