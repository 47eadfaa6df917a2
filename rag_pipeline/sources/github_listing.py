"""What a GitHub repository has: read whole, or read what changed since and laid over the last reading.

- Pages are asked for in the order of creation, which a comment or an edit does not disturb; in the order of
  change, whatever is touched meanwhile moves to the end and pushes another over the edge of a page.
- What was there before and is missing from a whole reading is asked for by its number before it counts as gone,
  because something deleted meanwhile pushes another over the edge as well.
"""

import json
import os
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rag_pipeline.errors import TransientError
from rag_pipeline.settings import GithubIssuesSettings
from rag_pipeline.sources.github_api import GithubApi, Gone
from rag_pipeline.sources.github_discussions import list_discussions
from rag_pipeline.sources.github_tickets import kind_of, text_of
from rag_pipeline.sources.ticket import value_at

OVERLAP = timedelta(minutes=10)
"""How far before the last listing's beginning the next one asks again: a server's replicas may lag behind."""

ASKED_FOR_MISSING = 100
"""If more than these are missing, it is no accident of paging; the guards are there to judge it."""

_FORMAT = 1
_FOLDERS = {"issue": "issues", "pull_request": "pull", "discussion": "discussions"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One issue, pull request or discussion, as the list shows it; `updated_at` is ISO 8601."""

    url: str
    updated_at: str
    comments: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What a repository had: when the last whole reading was, when this one began, and entries by id."""

    whole_at: float
    began_at: str
    entries: Mapping[str, Entry]


def id_of(kind: str, number: int) -> str:
    """Return the id of a thing, which is how its address on GitHub ends: ``issues/7``, ``pull/8``."""
    return f"{_FOLDERS[kind]}/{number}"


def parts_of(name: str) -> tuple[str, int] | None:
    """Return kind and number of an id; None for what is none."""
    folder, _, digits = name.partition("/")
    kind = next((kind for kind, each in _FOLDERS.items() if each == folder), None)
    return (kind, int(digits)) if kind and digits.isascii() and digits.isdigit() and len(digits) < 10 else None


class GithubLister:
    """Lists one repository; `file` is where the last reading is kept, which may vanish at any time."""

    def __init__(self, settings: GithubIssuesSettings, api: GithubApi, file: Path) -> None:
        """Take the settings; nothing is read yet."""
        self._repository = settings.repository
        self._kinds = set(settings.kinds)
        self._whole_for = settings.full_listing_hours * 3600
        self._api = api
        self._file = file
        self._what = [_FORMAT, settings.api_url, settings.repository, sorted(self._kinds)]

    def list(self) -> tuple[dict[str, Entry], str | None]:
        """Return what was found, by id, and what went wrong on the way: None when that is everything.

        Raises `ConfigurationError`.
        """
        earlier = self._kept()
        known = earlier.entries if earlier else {}
        changes_only = earlier is not None and 0 <= time.time() - earlier.whole_at < self._whole_for
        since = datetime.fromisoformat(earlier.began_at) - OVERLAP if earlier and changes_only else None
        entries = {name: entry for name, entry in known.items() if since and not name.startswith("discussions/")}
        try:
            began_at = self._add_issues(entries, since)
            self._add_discussions(entries)
            if not changes_only:
                self._confirm_missing(entries, known)
        except (TransientError, Gone) as error:
            return entries, str(error)
        whole_at = earlier.whole_at if earlier and changes_only else time.time()
        self._keep(Reading(whole_at, began_at.isoformat(), entries))
        return entries, None

    def _add_issues(self, entries: dict[str, Entry], since: datetime | None) -> datetime:
        """Add issues and pull requests; return when the first page was made, by the server's clock."""
        began_at: datetime | None = None
        if not self._kinds & {"issue", "pull_request"}:
            return datetime.now(UTC)
        parameters = {"state": "all", "sort": "created", "direction": "asc"}
        if since is not None:
            parameters["since"] = f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        seen: set[int] = set()
        for page in self._api.pages(f"/repos/{self._repository}/issues", **parameters):
            began_at = began_at or self._api.now
            numbers = {number for item in page if isinstance(number := value_at(item, "number"), int)}
            if len(numbers) < len(page):
                raise TransientError(f"{self._repository}: GitHub gives a page with something that is no issue")
            if page and numbers <= seen:
                raise TransientError(f"{self._repository}: GitHub gives a page of issues twice")
            seen |= numbers
            for item in page:
                self._add(entries, item)
        return began_at or datetime.now(UTC)

    def _add(self, entries: dict[str, Entry], item: Mapping[str, Any]) -> None:
        """Add an issue or a pull request; GitHub can make the one into the other."""
        number = item["number"]
        for kind in ("issue", "pull_request"):
            entries.pop(id_of(kind, number), None)
        kind = kind_of(item)
        if kind in self._kinds:
            entries[id_of(kind, number)] = self._entry(item, "html_url", "updated_at", "comments")

    def _add_discussions(self, entries: dict[str, Entry]) -> None:
        """Add the discussions, which the API cannot list by when they changed: they are always read whole."""
        if "discussion" not in self._kinds:
            return
        for item in list_discussions(self._api, self._repository):
            number = value_at(item, "number")
            if not isinstance(number, int):
                raise TransientError(f"{self._repository}: GitHub gives a page with something that is no discussion")
            entries[id_of("discussion", number)] = self._entry(item, "url", "updatedAt", "comments.totalCount")

    def _entry(self, item: Mapping[str, Any], url: str, updated_at: str, comments: str) -> Entry:
        count = value_at(item, comments)
        found = Entry(text_of(item, url), text_of(item, updated_at), count if isinstance(count, int) else 0)
        if not found.url.startswith(("https://", "http://")) or not found.updated_at:
            raise TransientError(f"{self._repository}: GitHub gives an entry without an address or a date")
        return found

    def _confirm_missing(self, entries: dict[str, Entry], known: Mapping[str, Entry]) -> None:
        """Ask for what was there before and is not now, and add what still is."""
        parts = [parts_of(name) for name in known if name not in entries]
        missing = [number for kind, number in filter(None, parts) if kind != "discussion"]
        if len(missing) > ASKED_FOR_MISSING:
            return
        for number in missing:
            with suppress(Gone):
                item = self._api.get(f"/repos/{self._repository}/issues/{number}")
                if value_at(item, "number") == number:
                    self._add(entries, item)

    def _kept(self) -> Reading | None:
        """Return the last reading, if it is there, whole and of the same things."""
        try:
            what, whole_at, began_at, entries = json.loads(self._file.read_text("utf-8"))
            if what != self._what or datetime.fromisoformat(began_at).tzinfo is None:
                return None
            return Reading(float(whole_at), began_at, {name: Entry(*entry) for name, entry in entries.items()})
        except (OSError, ValueError, TypeError, AttributeError):
            return None

    def _keep(self, reading: Reading) -> None:
        """Keep a reading for the next listing, or none where that is not possible."""
        entries = {name: astuple(entry) for name, entry in reading.entries.items()}
        write_whole(self._file, json.dumps([self._what, reading.whole_at, reading.began_at, entries]).encode())


def write_whole(file: Path, data: bytes) -> None:
    """Write a file of the cache so that it is whole or not there; where the disk refuses, it is not there."""
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".new-", delete=False) as draft:
            draft.write(data)
        os.replace(draft.name, file)
