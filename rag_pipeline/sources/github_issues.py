"""The `github_issues` source: issues, pull requests and discussions of a repository, each with its comments.

- Ids are ``issues/7``, ``pull/8`` and ``discussions/9``; closed ones stay, with their state.
- The version token is the time of the last change with the number of comments. GitHub's times only grow, so
  what `fetch` returns may be newer than what was listed, never older, and is read again at the next listing.
- Between whole listings only changes are asked for. What was deleted or transferred is noticed by the next
  whole one (``full_listing_hours``).
- What was fetched is kept for a day: a first load that runs into the rate limit goes on from where it stopped.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rag_pipeline.errors import ConfigurationError, DocumentError
from rag_pipeline.model import DocumentRef, Failure, ListingEnd
from rag_pipeline.settings import GithubIssuesSettings
from rag_pipeline.sources.github_api import GithubApi, Gone
from rag_pipeline.sources.github_discussions import fetch_discussion
from rag_pipeline.sources.github_listing import GithubLister, parts_of, write_whole
from rag_pipeline.sources.github_tickets import fetch_issue
from rag_pipeline.sources.media_types import TICKET
from rag_pipeline.sources.records import instant
from rag_pipeline.sources.source import MAX_DOCUMENT_BYTES
from rag_pipeline.sources.ticket import Ticket

_KEPT_SECONDS = 86_400


class GithubIssuesSource:
    """What people said in one repository."""

    def __init__(self, settings: GithubIssuesSettings, cache: Path) -> None:
        """Take the settings; the last listing is kept in `cache`. Raises `ConfigurationError` for a broken token."""
        self._settings = settings
        self._label = f"rag.toml: sources[{settings.name}]"
        self._access = settings.default_access
        self._api = GithubApi(settings.api_url, settings.token_env, self._label)
        self._lister = GithubLister(settings, self._api, cache / "listing.json")
        self._fetched = cache / "fetched"

    def check(self) -> None:
        """Raise `ConfigurationError` for a wrong repository or token, `TransientError` when GitHub does not answer."""
        if "discussion" in self._settings.kinds and not self._api.has_token:
            raise ConfigurationError(
                f"{self._label}.kinds: GitHub lists discussions only with a token; put one into the environment "
                f"variable {self._settings.token_env}, or leave discussion out"
            )
        try:
            self._api.get(f"/repos/{self._settings.repository}")
        except Gone as error:
            raise ConfigurationError(
                f"{self._label}.repository: {error}; correct the name, follow a repository that has moved, or put a "
                f"token that may read it into {self._settings.token_env}"
            ) from error

    def list(self) -> Iterator[DocumentRef | Failure | ListingEnd]:
        """Yield what the repository has, or had and changed since; whatever interrupts it makes the end incomplete."""
        self._tidy()
        entries, problem = self._lister.list()
        for name, entry in entries.items():
            yield DocumentRef(
                document_id=name,
                uri=entry.url,
                version=f"{entry.updated_at}-{entry.comments}",
                modified_at=instant(entry.updated_at),
                media_type=TICKET,
                access=self._access,
            )
        yield ListingEnd(complete=problem is None, reason=problem)

    def fetch(self, ref: DocumentRef) -> bytes:
        """Return a ticket in normal form, with all comments.

        Raises `DocumentError` for what was deleted or transferred, `TransientError` when GitHub does not
        answer or its rate limit is used up.
        """
        parts = parts_of(ref.document_id)
        if parts is None:
            raise DocumentError(f"{ref.document_id!r}: is no issue, pull request or discussion")
        kept = self._fetched / hashlib.sha256(f"{ref.document_id}\0{ref.version}".encode()).hexdigest()
        with suppress(OSError, DocumentError):
            if kept.stat().st_mtime > time.time() - _KEPT_SECONDS:
                return Ticket.from_bytes(kept.read_bytes()).to_bytes()
        kind, number = parts
        try:
            if kind == "discussion":
                ticket = fetch_discussion(self._api, self._settings.repository, number)
            else:
                ticket = fetch_issue(self._api, self._settings.repository, kind, number)
            data = ticket.to_bytes()
        except DocumentError as error:
            raise DocumentError(f"{ref.document_id!r}: {error}") from error
        if len(data) > MAX_DOCUMENT_BYTES:
            raise DocumentError(
                f"{ref.document_id!r}: {len(data):,} bytes, more than the {MAX_DOCUMENT_BYTES:,} allowed"
            )
        write_whole(kept, data)
        return data

    def close(self) -> None:
        """End the connections."""
        self._api.close()

    def _tidy(self) -> None:
        """Remove what was kept for too long."""
        with suppress(OSError):
            for file in self._fetched.iterdir():
                if file.stat().st_mtime < time.time() - _KEPT_SECONDS:
                    file.unlink()
