"""Builds real git repositories quickly, with any mode and any bytes in a path (through ``git fast-import``)."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

START = 1_600_000_000


@dataclass(frozen=True)
class Special:
    """A tree entry that is no regular file: its mode and its content (for a submodule the commit)."""

    mode: str
    content: bytes


def symlink(target: str) -> Special:
    return Special("120000", target.encode())


SUBMODULE = Special("160000", b"1" * 40)
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"

type_of_changes = Mapping[str, bytes | Special | None]


class Repository:
    """A bare repository whose commits are one hour apart unless told otherwise."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._clock = START
        run("init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(folder))

    def git(self, *arguments: str, stdin: bytes = b"") -> bytes:
        return run(f"--git-dir={self.folder}", *arguments, stdin=stdin)

    def commit(
        self, changes: type_of_changes, branch: str = "main", merge: Sequence[str] = (), at: int | None = None
    ) -> str:
        """Commit changes (None deletes) on a branch and return the commit's id."""
        self._clock += 3600
        ref = f"refs/heads/{branch}"
        stream = f"commit {ref}\ncommitter T <t@example.org> {at or self._clock} +0000\ndata 0\n".encode()
        if self.has(ref):
            stream += f"from {ref}^0\n".encode()
        for parent in merge:
            stream += f"merge {parent}\n".encode()
        for path, content in changes.items():
            quoted = b'"' + b"".join(b"\\%03o" % byte for byte in os.fsencode(path)) + b'"'
            if content is None:
                stream += b"D " + quoted + b"\n"
            elif isinstance(content, Special) and content.mode == "160000":
                stream += b"M 160000 " + content.content + b" " + quoted + b"\n"
            else:
                special = content if isinstance(content, Special) else Special("100644", content)
                header = b"M %s inline %s\ndata %d\n" % (special.mode.encode(), quoted, len(special.content))
                stream += header + special.content + b"\n"
        self.git("fast-import", "--quiet", "--force", stdin=stream)
        return self.head(ref)

    def has(self, ref: str) -> bool:
        return bool(self.git("for-each-ref", ref))

    def head(self, ref: str = "refs/heads/main") -> str:
        return self.git("rev-parse", ref).decode().strip()

    def changed_at(self, commit: str, path: str) -> int:
        """When git itself says that a path last changed on the line of first parents."""
        return int(self.git("log", "-1", "--first-parent", "--format=%ct", commit, "--", f":(literal){path}"))


def run(*arguments: str, stdin: bytes = b"") -> bytes:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    return subprocess.run(["git", *arguments], input=stdin, check=True, capture_output=True, env=environment).stdout


def shared_data(name: str) -> Path | None:
    """Return a file of the shared data, or None where it is not available."""
    root = os.environ.get("RAG_SHARED_DATA") or Path(__file__).parents[3].parent / "shared" / "data"
    file = Path(root) / name
    return file if file.exists() else None
