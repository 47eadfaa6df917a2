"""Runs a source's listing and sorts what it yields."""

import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from rag_pipeline.model import Access, DocumentRef, Failure, ListingEnd
from rag_pipeline.settings import FilesSettings, GitSettings
from rag_pipeline.sources import Source
from rag_pipeline.sources.access_files import parse_access

PUBLIC = {"access": ("public",)}


@dataclass(frozen=True)
class Listing:
    documents: Mapping[str, DocumentRef]
    failures: Mapping[str, str]
    end: ListingEnd


def listing(source: Source) -> Listing:
    """List a source and hold it to the protocol: each id once, one end and nothing after it."""
    *items, end = source.list()
    assert isinstance(end, ListingEnd)
    documents = {item.document_id: item for item in items if isinstance(item, DocumentRef)}
    failures = {item.document_id: item.reason for item in items if isinstance(item, Failure)}
    assert len(documents) + len(failures) == len(items)
    assert not documents.keys() & failures.keys()
    return Listing(documents, failures, end)


def files(path: Path, **settings: Any) -> FilesSettings:
    return FilesSettings.model_validate({"name": "x", "type": "files", "path": path, **PUBLIC, **settings})


def git(url: str | Path, **settings: Any) -> GitSettings:
    return GitSettings.model_validate({"name": "x", "type": "git", "url": str(url), **PUBLIC, **settings})


@contextmanager
def folder_for_example() -> Iterator[Path]:
    """A folder of its own for each example that hypothesis makes."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def write(folder: Path, tree: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in tree.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def may_read(access: Access, caller: Collection[str]) -> bool:
    """Whether a list admits a caller, who is all of some principals at once."""
    return bool({*caller} & {*access.allow}) and not {*caller} & {*access.deny}


def lists_above(tree: Mapping[str, bytes], path: str) -> list[Access]:
    """What each ``.access.toml`` from the root down to a document's folder says; one that is wrong says nobody."""
    above: list[Access] = []
    folders = path.split("/")[:-1]
    for depth in range(len(folders) + 1):
        content = tree.get("/".join([*folders[:depth], ".access.toml"]))
        if content is not None:
            try:
                above.append(parse_access(content))
            except ValueError:
                above.append(Access())
    return above


_NAMES = st.sampled_from(["a", "b", "B", "é", "e\u0301", "x y", 'q"\n'])
_FOLDERS = st.lists(_NAMES, max_size=3)
_PRINCIPALS = st.lists(st.sampled_from(["public", "group:a", "group:b", "user:c"]), max_size=3)
_ACCESS_FILES = st.one_of(
    st.tuples(_PRINCIPALS, _PRINCIPALS).map(lambda lists: f"access = {lists[0]}\ndeny = {lists[1]}".encode()),
    st.sampled_from([b"", b"access = 1", b'access = ["public"]\nother = 1', b"\xff"]),
)


@st.composite
def trees(draw: st.DrawFn) -> dict[str, bytes]:
    """Folders with documents and, in some, a ``.access.toml`` that is right or wrong."""
    documents = st.dictionaries(
        st.tuples(_FOLDERS, _NAMES).map(lambda at: "/".join([*at[0], at[1] + ".md"])), st.binary(max_size=9)
    )
    lists = st.dictionaries(_FOLDERS.map(lambda at: "/".join([*at, ".access.toml"])), _ACCESS_FILES, max_size=3)
    return draw(documents) | draw(lists)
