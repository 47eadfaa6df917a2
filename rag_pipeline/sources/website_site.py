"""What belongs to a site: its hosts, what its robots.txt says, and the pages that its sitemaps list."""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import unquote

from rag_pipeline.errors import ConfigurationError, DocumentError, TransientError
from rag_pipeline.settings import WebsiteSettings
from rag_pipeline.sources.globs import PathFilter
from rag_pipeline.sources.listing import Problems
from rag_pipeline.sources.website_client import Client
from rag_pipeline.sources.website_pages import Pages, StatusError, is_trouble
from rag_pipeline.sources.website_robots import Robots, parse_robots
from rag_pipeline.sources.website_sitemap import Entry, entries
from rag_pipeline.sources.website_urls import Url, parse_url

MAX_DEPTH = 3
MAX_SITEMAPS = 1_000
_SITEMAP_ENDINGS = (".xml", ".xml.gz", ".txt")


class Site:
    """The site that settings describe. `skipped` counts what its sitemaps list and the source leaves out."""

    def __init__(self, settings: WebsiteSettings, client: Client, pages: Pages) -> None:
        """Take the settings. Raises `ConfigurationError` for a glob, a url or a host that can never work."""
        label = f"sources[{settings.name}]"
        self._filter = PathFilter.of(settings.include, settings.exclude, label)
        try:
            self._start = parse_url(settings.url)
            hosts = [parse_url(f"https://{host}") for host in settings.hosts]
            if any(host.target != "/" for host in hosts):
                raise ValueError("hosts are names, such as docs.example.com, without scheme or path")
        except ValueError as error:
            raise ConfigurationError(f"rag.toml: {label}: url or hosts: {error}") from error
        self._hosts = {self._start.authority, *(host.authority for host in hosts)}
        self._max_pages = settings.max_pages
        self._client = client
        self._pages = pages
        self._rules: dict[Url, Robots | DocumentError | TransientError] = {}
        self.skipped: Counter[str] = Counter()

    def belongs(self, url: Url) -> None:
        """Raise `DocumentError` for a URL of another host; a port that is not the usual one is part of the host."""
        if url.authority not in self._hosts:
            raise DocumentError(f"{url}: {url.authority} is another host; if it belongs to the site, name it in hosts")

    def admit(self, url: Url) -> None:
        """Raise `DocumentError` for a page that must not be asked for, and what `robots` raises."""
        self.belongs(url)
        if not self.robots(url).allows(url.target):
            raise DocumentError(f"{url}: robots.txt disallows it")

    def robots(self, url: Url) -> Robots:
        """Return what the robots.txt beside a URL says, read once a listing; one that is absent says nothing.

        Raises as `Pages.read` does when it cannot be read: then nothing may be asked for.
        """
        place = replace(url, target="/robots.txt")
        if place not in self._rules:
            try:
                rules = parse_robots(self._pages.read_whole(place, self.belongs))
                self._client.delay = max(self._client.delay, rules.delay)
                self._rules[place] = rules
            except (DocumentError, TransientError) as error:
                absent = isinstance(error, StatusError) and 400 <= error.status < 500 and not is_trouble(error)
                self._rules[place] = Robots() if absent else error
        known = self._rules[place]
        if isinstance(known, Robots):
            return known
        raise known

    def sitemaps(self) -> Sequence[Url]:
        """Return where the listing begins. Raises as `robots` does."""
        if self._start.path.endswith(_SITEMAP_ENDINGS):
            return [self._start]
        found: dict[Url, None] = {}
        for text in self.robots(self._start).sitemaps:
            try:
                found[parse_url(text, self._start)] = None
            except ValueError as error:
                raise DocumentError(f"robots.txt: the sitemap {text[:200]!r}: {error}") from error
        return list(found) or [replace(self._start, target="/sitemap.xml")]

    def entries(self, sitemap: Url) -> Iterator[Entry]:
        """Read a sitemap and yield its entries. Raises as `Pages.read` and `website_sitemap.entries` do."""
        data = self._pages.read_whole(sitemap, self.belongs)
        try:
            yield from entries(data)
        except DocumentError as error:
            raise DocumentError(f"sitemap {sitemap}: {error}") from error

    def listed(self, problems: Problems) -> dict[str, datetime | None]:
        """Read the sitemaps anew; return the pages of the source and when each is said to have changed.

        What cannot be read is noted in `problems`.
        """
        self.skipped.clear()
        self._rules.clear()
        listed: dict[str, datetime | None] = {}
        unruled: set[str] = set()
        for url, changed_at in self._all(problems):
            if str(url) in listed or url.authority in unruled or not self._is_ours(url):
                continue
            try:
                allowed = self.robots(url).allows(url.target)
            except (DocumentError, TransientError) as error:
                unruled.add(url.authority)
                problems.add(str(error))
                continue
            if not allowed:
                self.skipped["disallowed by robots.txt"] += 1
            elif len(listed) == self._max_pages:
                problems.add(f"more than {self._max_pages:,} pages; raise max_pages")
                break
            else:
                listed[str(url)] = changed_at
        return listed

    def _all(self, problems: Problems) -> Iterator[tuple[Url, datetime | None]]:
        """Yield the URLs of all sitemaps below the first ones, each sitemap once."""
        try:
            pending = deque((sitemap, 1) for sitemap in self.sitemaps())
        except (DocumentError, TransientError) as error:
            problems.add(str(error))
            return
        met = {sitemap for sitemap, _ in pending}
        while pending:
            sitemap, depth = pending.popleft()
            try:
                for entry in self.entries(sitemap):
                    try:
                        url = parse_url(entry.url, sitemap)
                    except ValueError:
                        self.skipped["URLs that are refused"] += 1
                        continue
                    if not entry.is_sitemap:
                        yield url, entry.changed_at
                    elif url not in met and (depth == MAX_DEPTH or len(met) == MAX_SITEMAPS):
                        problems.add(
                            f"{url}: sitemaps nest more than {MAX_DEPTH} deep, or are more than {MAX_SITEMAPS:,}"
                        )
                    elif url not in met:
                        met.add(url)
                        pending.append((url, depth + 1))
            except (DocumentError, TransientError) as error:
                problems.add(str(error))

    def _is_ours(self, url: Url) -> bool:
        if url.authority not in self._hosts:
            self.skipped["URLs of other hosts"] += 1
            return False
        names = [name for name in unquote(url.path).split("/") if name] or ["index.html"]
        paths = ["/".join(names[:end]) for end in range(1, len(names) + 1)]
        return self._filter.includes(paths[-1]) and not any(map(self._filter.excludes, paths))
