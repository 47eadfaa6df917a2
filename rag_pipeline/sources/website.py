"""The `website` source: the pages that a site's sitemaps list, asked for politely and from nowhere else.

- `list` is the crawl: it asks for every page, conditionally, keeps the bytes in the cache folder, and gives
  each page the hash of its bytes as version. An unchanged site costs one short request a page and no bytes.
  A sitemap's dates are only hints; they become `modified_at`, before what Last-Modified says.
- An id is the page's URL in canonical form (`rag_pipeline.sources.website_urls`), as the sitemap lists it. Globs
  see its path, without slashes at the ends; the root is ``index.html``.
- 404 and 410 mean gone. 401, 403 and 451 hide the page's last good version from everyone; any other trouble is
  a failure, so the page stays as it was. Trouble many times in a row ends the listing, incomplete.
- A page that redirects to another listed one, or names it as canonical, is a copy and not listed.
- URLs of other hosts and what robots.txt disallows do not belong to the source; `WebsiteSource.skipped` counts
  them. A sitemap or robots.txt that cannot be read makes the listing incomplete.
"""

from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from rag_pipeline.errors import ConfigurationError, DocumentError, TransientError
from rag_pipeline.model import NOBODY, DocumentRef, Failure, ListingEnd
from rag_pipeline.settings import WebsiteSettings
from rag_pipeline.sources.listing import Problems
from rag_pipeline.sources.website_addresses import Resolver, resolve
from rag_pipeline.sources.website_canonical import copies
from rag_pipeline.sources.website_client import Client
from rag_pipeline.sources.website_pages import Pages, StatusError, is_trouble
from rag_pipeline.sources.website_site import Site
from rag_pipeline.sources.website_sitemap import in_range
from rag_pipeline.sources.website_urls import canonical_host, parse_url

_TROUBLES_IN_A_ROW = 20


class WebsiteSource:
    """A site with sitemaps. `fetch` may be called from several threads; they wait for each other."""

    def __init__(
        self, settings: WebsiteSettings, cache: Path, resolver: Resolver = resolve, seconds: float = 60.0
    ) -> None:
        """Take the settings; pages are kept in `cache`. `seconds` is the deadline of one request.

        Raises `ConfigurationError` for a glob, a url or a host that can never work.
        """
        self._label = f"rag.toml: sources[{settings.name}]"
        self._access = settings.default_access
        try:
            private = frozenset(map(canonical_host, settings.private_hosts))
        except ValueError as error:
            raise ConfigurationError(f"{self._label}.private_hosts: {error}; write names of hosts") from error
        self._client = Client(settings.requests_per_second, private, resolver, seconds)
        self._pages = Pages(self._client, cache / "pages")
        self._site = Site(settings, self._client, self._pages)
        self.skipped = self._site.skipped

    def check(self) -> None:
        """Read robots.txt and the beginning of the first sitemap.

        Raises `ConfigurationError` when they are refused, not there or no sitemap, `TransientError` when
        the site cannot answer now.
        """
        try:
            next(self._site.entries(self._site.sitemaps()[0]), None)
        except StatusError as error:
            if is_trouble(error):
                raise TransientError(str(error)) from error
            raise ConfigurationError(f"{self._label}.url: {error}; give the address of the sitemap") from error
        except DocumentError as error:
            raise ConfigurationError(f"{self._label}.url: {error}") from error

    def list(self) -> Iterator[DocumentRef | Failure | ListingEnd]:
        """Crawl; yield the pages in the order of the sitemaps, those that name another page at the end."""
        problems = Problems()
        listed = self._site.listed(problems)
        present: set[str] = set()
        named: dict[str, tuple[str, DocumentRef]] = {}
        troubles = 0
        for name, changed_at in listed.items():
            url = parse_url(name)
            try:
                page = self._pages.read(url, self._site.admit)
            except (DocumentError, TransientError) as error:
                troubles = troubles + 1 if is_trouble(error) else 0
                if isinstance(error, StatusError) and error.status in (404, 410):
                    self.skipped["gone"] += 1
                    continue
                hidden = isinstance(error, StatusError) and error.status in (401, 403, 451)
                present.add(name)
                yield Failure(name, name, str(error), NOBODY if hidden else None)
                if troubles == _TROUBLES_IN_A_ROW:
                    problems.add(f"gave up after {troubles} pages in a row that could not be read: {error}")
                    present.update(listed)  # the rest may be there
                    break
                continue
            troubles = 0
            document = DocumentRef(
                document_id=name,
                uri=name,
                version=page.version,
                modified_at=changed_at or _http_time(page.changed),
                size=page.size,
                media_type=page.media_type,
                access=self._access,
            )
            other = next((other for other in (page.url, page.canonical) if other != name and other in listed), None)
            if other:
                named[name] = other, document
            else:
                present.add(name)
                yield document
        twins = copies({name: other for name, (other, _) in named.items()}, present)
        for name, (_, document) in named.items():
            if name in twins:
                self.skipped["copies of other pages"] += 1
            else:
                yield document
        end = problems.end()
        if end.complete:
            self._pages.forget_unused()
        yield end

    def fetch(self, ref: DocumentRef) -> bytes:
        """Return the page as it was listed, or as it is now if the cache lost it.

        Raises `DocumentError` for a page that is gone or refused, `TransientError` when the site is away.
        """
        try:
            url = parse_url(ref.document_id)
        except ValueError as error:
            raise DocumentError(f"{ref.document_id!r}: {error}") from error
        body = self._pages.body(url, ref.version)
        return self._pages.read_whole(url, self._site.admit) if body is None else body

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _http_time(text: str | None) -> datetime | None:
    try:
        return in_range(parsedate_to_datetime(text or ""))
    except (ValueError, TypeError):
        return None
