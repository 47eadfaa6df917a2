"""Pages as they were last read, kept in a folder so that an unchanged page costs one request and no bytes.

Each page is one file: a line of JSON that describes it, then its bytes. A file is replaced whole, and one that
is missing, cut off or altered only makes the page be read again; the folder may vanish at any time.
"""

import codecs
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from rag_pipeline.errors import DocumentError, TransientError
from rag_pipeline.sources.media_types import HTML, media_type
from rag_pipeline.sources.source import MAX_DOCUMENT_BYTES
from rag_pipeline.sources.website_canonical import canonical_link
from rag_pipeline.sources.website_client import Answer, Client
from rag_pipeline.sources.website_urls import Url, parse_url

_LONGEST_LINE = 100_000
_HTML = (HTML, "application/xhtml+xml")
_VAGUE_TYPES = ("", "application/octet-stream", "binary/octet-stream", "text/plain")
_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:-]{2,40})", re.IGNORECASE)
_LEGACY = re.compile(
    r"iso-8859-\d+|windows-125\d|koi8-[ru]|shift_jis|euc-(?:jp|kr)|gb2312|gbk|gb18030|big5", re.IGNORECASE
)


class StatusError(DocumentError):
    """The server answered, but not with the page."""

    def __init__(self, url: Url, status: int) -> None:
        super().__init__(f"{url}: answered {status}")
        self.status = status


def is_trouble(error: Exception) -> bool:
    """Say whether the site, not the page, seems to be in trouble."""
    if isinstance(error, StatusError):
        return error.status in (408, 429) or error.status >= 500
    return isinstance(error, TransientError)


@dataclass(frozen=True, slots=True)
class Page:
    """What is known of a page. `url` is where redirects led, `version` is the hash of its bytes.

    `changed` is what Last-Modified said when these bytes were first seen; `canonical` is the URL by which
    the page itself wants to be known.
    """

    url: str
    version: str
    size: int
    media_type: str | None
    changed: str | None
    canonical: str | None
    etag: str | None
    last_modified: str | None


class Pages:
    """Reads pages by a client and keeps them in a folder."""

    def __init__(self, client: Client, folder: Path) -> None:
        self._client = client
        self._folder = folder
        self._used: set[str] = set()

    def read(self, url: Url, admit: Callable[[Url], None]) -> Page:
        """Return the page as it is now; its bytes come over the network only if they are not the kept ones.

        `admit` raises for URLs that must not be asked for. Raises `StatusError`, else as `Client.get` does.
        """
        kept = self._kept(url)
        self._used.add(self._file(url).name)
        answer = self._client.get(url, admit, {parse_url(kept.url): _conditions(kept)} if kept else None)
        if answer.status == 304 and kept and str(answer.url) == kept.url:
            return kept
        if answer.status != 200:
            if answer.status in (404, 410):
                self._file(url).unlink(missing_ok=True)
            raise StatusError(url, answer.status)
        return self._keep(url, answer, kept)

    def read_whole(self, url: Url, admit: Callable[[Url], None]) -> bytes:
        """Return the bytes of the page as it is now. Raises as `read` does."""
        body = self.body(url, self.read(url, admit).version)
        if body is None:
            raise TransientError(f"{self._folder}: does not keep what is put into it; is the disk full?")
        return body

    def body(self, url: Url, version: str | None) -> bytes | None:
        """Return the kept bytes of a page; None unless exactly that version is there, unharmed."""
        try:
            _, _, body = self._file(url).read_bytes().partition(b"\n")
        except OSError:
            return None
        if _hash(body) == version:
            return body
        return None

    def forget_unused(self) -> None:
        """Remove what no call of `read` was about."""
        if self._folder.is_dir():
            for file in os.scandir(self._folder):
                if file.name not in self._used:
                    Path(file.path).unlink(missing_ok=True)

    def _file(self, url: Url) -> Path:
        return self._folder / hashlib.sha256(str(url).encode()).hexdigest()

    def _kept(self, url: Url) -> Page | None:
        try:
            with self._file(url).open("rb") as file:
                line = file.readline(_LONGEST_LINE)
                page = Page(**json.loads(line))
                parse_url(page.url)
                return page if os.fstat(file.fileno()).st_size == len(line) + page.size else None
        except (OSError, ValueError, TypeError):
            return None

    def _keep(self, url: Url, answer: Answer, kept: Page | None) -> Page:
        said = answer.headers.get("content-type", "")
        kind = said.partition(";")[0].strip().lower()
        kind = (media_type(answer.url.path) or kind if kind in _VAGUE_TYPES else kind) or None
        body = _as_utf8(answer.body, said) if (kind or "").startswith("text/") else answer.body
        if len(body) > MAX_DOCUMENT_BYTES:
            raise DocumentError(f"{url}: more than the {MAX_DOCUMENT_BYTES:,} bytes allowed, as UTF-8")
        version = _hash(body)
        last_modified = answer.headers.get("last-modified")
        page = Page(
            url=str(answer.url),
            version=version,
            size=len(body),
            media_type=kind,
            changed=kept.changed if kept and kept.version == version else last_modified,
            canonical=canonical_link(answer.url, body if kind in _HTML else b"", answer.headers.get("link", "")),
            etag=answer.headers.get("etag"),
            last_modified=last_modified,
        )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
                file.write(json.dumps(asdict(page)).encode() + b"\n" + body)
            os.replace(file.name, self._file(url))
        except OSError as error:
            raise TransientError(f"{self._folder}: cannot keep a page: {error.strerror}") from error
        return page


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _conditions(page: Page) -> dict[str, str]:
    """Return the headers that ask for the page only if it changed; a tag is exact, so a time adds nothing to it."""
    if page.etag:
        return {"If-None-Match": page.etag}
    return {"If-Modified-Since": page.last_modified} if page.last_modified else {}


def _as_utf8(body: bytes, content_type: str) -> bytes:
    """Return a text as UTF-8, with a mark, when only the header tells in which older encoding it is written."""
    charset = _CHARSET.search(content_type)
    if not charset or not _LEGACY.fullmatch(charset[1]):
        return body
    try:
        body.decode()
    except UnicodeDecodeError:
        encoding = "cp1252" if charset[1].lower() == "iso-8859-1" else charset[1]  # as browsers do
        try:
            return codecs.BOM_UTF8 + body.decode(encoding, "replace").encode()
        except LookupError:
            return body
    return body
