"""When each path of a commit got its present content, and which blobs are Git LFS pointers.

The time is that of the newest commit on the line of first parents in which the path differs from the
parent: when the content arrived on the branch, which a merge of older work does not date back. It equals
``git log -1 --first-parent -- path`` for every path.

One walk finds all of them. It begins at the commit and ends as soon as every path is found, or at the
commit whose facts were written down last: a path that did not change since then has the facts it had.
So an unchanged commit costs nothing, a new one the new history, and a rewritten history a whole walk.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rag_pipeline.sources.git_command import BlobReader, tokens

_FILE = "rag-facts-1.json"
_POINTER_LIMIT = 1024
_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a commit's tree. `size` is None for a submodule."""

    mode: str
    blob: str
    size: int | None

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file, executable or not."""
        return self.mode.startswith("100")

    @property
    def is_submodule(self) -> bool:
        """Whether it is a commit of another repository."""
        return self.mode == "160000"


@dataclass(frozen=True, slots=True)
class Facts:
    """What history says about the paths of one commit: seconds since 1970 of the last change, and LFS pointers."""

    commit: str
    changed_at: Mapping[str, int]
    pointers: frozenset[str]


_NOTHING = Facts("", {}, frozenset())


def read_facts(git_dir: Path, commit: str, entries: Mapping[str, Entry], blobs: BlobReader) -> Facts:
    """Return the facts of a commit with the given tree, from the last facts where they still hold.

    Raises `GitFailed` when the history cannot be read.
    """
    known = _load(git_dir)
    if known.commit == commit:
        return known
    inherited = _NOTHING
    changed_at: dict[str, int] = {}
    seconds = 0
    walk = tokens(
        git_dir,
        *("log", "--first-parent", "--diff-merges=first-parent", "--root", "--raw", "--no-renames", "--no-ext-diff"),
        *("--no-textconv", "-z", "--format=%H %ct", "--end-of-options", commit),
    )
    with closing(walk):
        for token in walk:
            if token.startswith((b":", b"\n:")):
                path = next(walk).decode(errors="surrogateescape")
                if path in entries:
                    changed_at.setdefault(path, seconds)
            elif len(changed_at) == len(entries):
                break
            else:
                sha, _, stamp = token.decode().strip().partition(" ")
                if sha == known.commit:
                    inherited = known
                    break
                seconds = int(stamp)
    pointers = {path for path in changed_at if _is_pointer(entries[path], blobs)}
    for path in entries.keys() - changed_at.keys():
        changed_at[path] = inherited.changed_at.get(path, seconds)
        if path in inherited.pointers:
            pointers.add(path)
    facts = Facts(commit, changed_at, frozenset(pointers))
    _save(git_dir, facts)
    return facts


def _is_pointer(entry: Entry, blobs: BlobReader) -> bool:
    if not entry.is_file or entry.size is None or entry.size >= _POINTER_LIMIT:
        return False
    return blobs.read(entry.blob, _POINTER_LIMIT).startswith(_POINTER)


def _load(git_dir: Path) -> Facts:
    """Return the facts that were saved last; none when there are none or they are damaged."""
    try:
        values = json.loads((git_dir / _FILE).read_bytes())
        return Facts(values["commit"], values["changed_at"], frozenset(values["pointers"]))
    except (OSError, ValueError, KeyError, TypeError):
        return _NOTHING


def _save(git_dir: Path, facts: Facts) -> None:
    values = {"commit": facts.commit, "changed_at": dict(facts.changed_at), "pointers": sorted(facts.pointers)}
    descriptor, name = tempfile.mkstemp(dir=git_dir, prefix="rag-facts-")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(values, file)
        os.replace(name, git_dir / _FILE)
    except BaseException:
        os.unlink(name)
        raise
