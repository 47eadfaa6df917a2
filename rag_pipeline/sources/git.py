"""The `git` source: the files of one commit, read from a bare mirror; there is never a work tree.

- An id is the path in the tree; the version token is the blob's id; `modified_at` is when the content
  arrived on the branch (`rag_pipeline.sources.git_history`).
- A uri is ``url@ref:path``, with the url as it stands in rag.toml (so that it survives a move of the
  workspace) but without a password, and the path percent-encoded.
- Submodules and Git LFS pointers stand for content that is not in the repository: they are failures, so
  that they are seen. Symbolic links are never followed; `GitSource.skipped` counts them.
- A source whose origin cannot be reached raises; a stale mirror is never listed.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from rag_pipeline.errors import ConfigurationError, DocumentError
from rag_pipeline.model import Access, DocumentRef, Failure, ListingEnd
from rag_pipeline.settings import GitSettings
from rag_pipeline.sources.access_files import ACCESS_FILE
from rag_pipeline.sources.git_command import BlobReader, GitFailed, tokens, without_password
from rag_pipeline.sources.git_folders import Folders
from rag_pipeline.sources.git_history import Entry, Facts, read_facts
from rag_pipeline.sources.git_mirror import Mirror
from rag_pipeline.sources.globs import PathFilter
from rag_pipeline.sources.listing import escaped_id, is_storable, moment
from rag_pipeline.sources.media_types import media_type
from rag_pipeline.sources.source import MAX_DOCUMENT_BYTES

MAX_ENTRIES = 5_000_000
"""Trees can repeat themselves into billions of entries; beyond this a listing is incomplete."""

_REMOTE = re.compile(r"[^/]*:")


class GitSource:
    """A branch, tag or commit of a repository that git can fetch from. `fetch` may be called from several threads."""

    def __init__(self, settings: GitSettings, folder: Path, cache: Path) -> None:
        """Take the settings; a url that is a path starts at `folder`; the mirror is kept in `cache`.

        Raises `ConfigurationError` for a glob, a url or a ref that can never work.
        """
        self._label = f"rag.toml: sources[{settings.name}]"
        for key, value in (("url", settings.url), ("ref", settings.ref)):
            if not value or value.startswith("-") or not value.isprintable():
                raise ConfigurationError(
                    f"{self._label}.{key}: {value!r} is refused: empty, begins with '-' or holds control characters"
                )
        self._ref = settings.ref
        self._access = settings.default_access
        self._filter = PathFilter.of(settings.include, settings.exclude, f"sources[{settings.name}]")
        self._uri = f"{without_password(settings.url)}@{settings.ref}:"
        local = not _REMOTE.match(settings.url)
        url = os.path.abspath(folder / settings.url) if local else settings.url
        self._mirror = Mirror(url, cache.absolute(), self._label)
        self._blobs = BlobReader(self._mirror.git_dir)
        self._checked = False
        self.revision: str | None = None
        self.skipped: Counter[str] = Counter()

    def check(self) -> None:
        """Fetch; raise `ConfigurationError` for a wrong url or ref, `TransientError` when the origin is away."""
        self._mirror.update(self._ref)
        self._mirror.resolve(self._ref)
        self._checked = True

    def list(self) -> Iterator[DocumentRef | Failure | ListingEnd]:
        """Fetch, set `revision` to the commit that the ref names now, and yield that commit's files in git's order.

        A `check` just before has fetched already. Raises before the first item, as `check` does, when the
        origin is wrong or out of reach.
        """
        self.revision = None
        self.skipped.clear()
        if not self._checked:
            self._mirror.update(self._ref)
        self._checked = False
        try:
            self.revision = self._mirror.resolve(self._ref)
            entries = self._tree(self.revision)
            facts = read_facts(self._mirror.git_dir, self.revision, entries, self._blobs)
        except (ConfigurationError, GitFailed, DocumentError) as error:
            yield ListingEnd(complete=False, reason=str(error))
            return
        yield from self._documents(entries, facts)
        yield ListingEnd(complete=True)

    def fetch(self, ref: DocumentRef) -> bytes:
        """Return the bytes of the blob that `ref.version` names. Raises `DocumentError`."""
        try:
            return self._blobs.read(ref.version or "", MAX_DOCUMENT_BYTES)
        except DocumentError as error:
            raise DocumentError(f"{ref.document_id!r}: {error}") from error

    def close(self) -> None:
        """End the process that reads blobs."""
        self._blobs.close()

    def _tree(self, commit: str) -> dict[str, Entry]:
        """Return every entry of a commit by its path. Raises `GitFailed`."""
        entries: dict[str, Entry] = {}
        lines = tokens(self._mirror.git_dir, "ls-tree", "-r", "-z", "-l", "--full-tree", commit)
        with closing(lines):
            for line in lines:
                properties, _, path = line.partition(b"\t")
                mode, _, blob, size = properties.decode().split()
                entries[path.decode(errors="surrogateescape")] = Entry(mode, blob, None if size == "-" else int(size))
                if len(entries) > MAX_ENTRIES:
                    raise GitFailed(f"{self._label}: the tree has more than {MAX_ENTRIES:,} entries")
        return entries

    def _documents(self, entries: Mapping[str, Entry], facts: Facts) -> Iterator[DocumentRef | Failure]:
        folders = Folders(entries, self._access, self._filter, self._blobs)
        for path, reason in folders.unreadable.items():
            yield self._failure(path, f"nobody may read what it governs: {reason}")
        for path, entry in entries.items():
            folder, _, name = path.rpartition("/")
            if ACCESS_FILE in (name, *folder.split("/")) or self._filter.excludes(path):
                continue
            access = folders.access(folder)
            if access is None:
                continue
            if entry.is_submodule:
                yield self._failure(path, "is a submodule; index its repository as a source of its own, or exclude it")
            elif not entry.is_file:
                self.skipped["symbolic links"] += 1
            elif self._filter.includes(path):
                yield self._document(path, entry, access, facts)

    def _document(self, path: str, entry: Entry, access: Access, facts: Facts) -> DocumentRef | Failure:
        size = entry.size or 0
        if not is_storable(path):
            return self._failure(path, "the name is not valid UTF-8; rename the file")
        if path in facts.pointers:
            return self._failure(path, "is a Git LFS pointer, its content is not in the repository; exclude it")
        if size > MAX_DOCUMENT_BYTES:
            return self._failure(
                path, f"{size:,} bytes, more than the {MAX_DOCUMENT_BYTES:,} allowed; split it or exclude it"
            )
        return DocumentRef(
            document_id=path,
            uri=self._uri + quote(path),
            version=entry.blob,
            modified_at=moment(facts.changed_at[path] * 1_000_000),
            size=size,
            media_type=media_type(path),
            access=access,
        )

    def _failure(self, path: str, reason: str) -> Failure:
        document_id = path if is_storable(path) else escaped_id(path)
        return Failure(document_id, self._uri + quote(path, errors="surrogateescape"), reason)
