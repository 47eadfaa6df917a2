"""Where exports are: one file, or every export below a folder, each with whom the folders on the way admit.

Symbolic links are not followed; only the configured path itself may be one.
"""

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rag_pipeline.model import PUBLIC, Access
from rag_pipeline.sources.access_files import ACCESS_FILE, narrowed_in
from rag_pipeline.sources.exports import is_export
from rag_pipeline.sources.globs import PathFilter
from rag_pipeline.sources.listing import Problems
from rag_pipeline.sources.safe_open import open_folder, open_root

_EVERYONE = Access((PUBLIC,))


@dataclass(frozen=True, slots=True)
class ExportFile:
    """A file of records: its name in an open folder, its path at the place, and who may read it at most."""

    folder: int
    name: str
    path: str
    bound: Access


def export_files(
    place: Path, paths: PathFilter, problems: Problems, unreadable: dict[str, str]
) -> Iterator[ExportFile]:
    """Yield the exports at a place, folder by folder, sorted inside each; an open folder closes with the next item.

    A place that is a file is bound by the folder in which it lies, one that is a link by that of the link as
    well. Of each ``.access.toml`` that admits nobody because it cannot be understood, the reason is put into
    `unreadable` under its path. Raises `OSError` when the place cannot be opened.
    """
    real = Path(os.path.realpath(place))
    if not real.is_dir():
        yield from _single(place, real, unreadable)
        return
    root = open_root(real)
    try:
        pending = deque([("", _EVERYONE)])
        while pending:
            yield from _folder(root, *pending.pop(), paths, pending, problems, unreadable)
    finally:
        os.close(root)


def _single(place: Path, real: Path, unreadable: dict[str, str]) -> Iterator[ExportFile]:
    bound = _EVERYONE
    if place.parent != real.parent:
        folder = open_root(place.parent)
        try:
            bound = _bound(folder, "", bound, unreadable)
        finally:
            os.close(folder)
    folder = open_root(real.parent)
    try:
        os.stat(real.name, dir_fd=folder, follow_symlinks=False)
        yield ExportFile(folder, real.name, place.name, _bound(folder, "", bound, unreadable))
    finally:
        os.close(folder)


def _folder(
    root: int,
    folder: str,
    bound: Access,
    paths: PathFilter,
    pending: deque[tuple[str, Access]],
    problems: Problems,
    unreadable: dict[str, str],
) -> Iterator[ExportFile]:
    """Yield the exports of one folder and append the folders below it to `pending`, the first one last."""
    prefix = f"{folder}/" if folder else ""
    subfolders: list[tuple[str, Access]] = []
    try:
        descriptor = open_folder(root, folder)
    except OSError as error:
        problems.add(_unlisted(folder, error))
        return
    try:
        try:
            with os.scandir(descriptor) as scan:
                entries = sorted(
                    (entry.name, entry.is_dir(follow_symlinks=False), entry.is_file(follow_symlinks=False))
                    for entry in scan
                )
        except OSError as error:
            problems.add(_unlisted(folder, error))
            return
        bound = _bound(descriptor, prefix, bound, unreadable)
        for name, is_folder, is_file in entries:
            path = prefix + name
            if name == ACCESS_FILE or paths.excludes(path):
                continue
            if is_folder:
                subfolders.append((path, bound))
            elif is_file and is_export(path) and paths.includes(path):
                yield ExportFile(descriptor, name, path, bound)
        pending.extend(reversed(subfolders))
    finally:
        os.close(descriptor)


def _bound(folder: int, prefix: str, bound: Access, unreadable: dict[str, str]) -> Access:
    """Narrow a bound by the ``.access.toml`` of an open folder, if it has one; whatever else has that name counts."""
    try:
        os.stat(ACCESS_FILE, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return bound
    except OSError:
        pass  # it cannot be read either, and that is said
    bound, wrong = narrowed_in(folder, bound)
    if wrong:
        unreadable[prefix + ACCESS_FILE] = wrong
    return bound


def _unlisted(folder: str, error: OSError) -> str:
    return f"folder {folder or '.'!r}: {error.strerror}; let this user read it, or exclude it"
