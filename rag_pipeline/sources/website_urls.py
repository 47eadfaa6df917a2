"""URLs in the one form in which a website's pages are known, compared and asked for.

Lower case scheme and host (non-ASCII hosts in their ``xn--`` form), no default port, no fragment, no dot
segments, percent-encoding only where it is needed and in upper case. The parts that a request is made of
are taken from the same object, so that what was checked is what is asked.
"""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

_PORTS = {"http": 80, "https": 443}
_LONGEST = 2_048
_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_NUMERIC = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_KEPT = _UNRESERVED | frozenset("!$&'()*+,;=:@/?%")


@dataclass(frozen=True, slots=True)
class Url:
    """A URL in canonical form. `target` is path and query as they are sent; `host` has no brackets."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Host and, unless it is the scheme's own, port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def path(self) -> str:
        """The path alone, percent-encoded."""
        return self.target.partition("?")[0]

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def parse_url(text: str, base: Url | None = None) -> Url:
    """Return the canonical form of a URL, which may be relative to `base`. Raises `ValueError` with the reason.

    Refused are other schemes than http and https, credentials, hosts that are neither names nor plain
    addresses (as 0x7f.1 or 2130706433), and URLs beyond 2,048 characters.
    """
    text = text.strip(" \t\r\n")
    if len(text) > _LONGEST or any(character < " " or character in "\\\x7f" for character in text):
        raise ValueError("is too long, or holds control characters or a backslash")
    parts = urlsplit(urljoin(str(base), text) if base else text)
    scheme = parts.scheme.lower()
    if scheme not in _PORTS:
        raise ValueError(f"{scheme or 'no scheme'}: only http and https are read")
    if "@" in parts.netloc:
        raise ValueError("holds credentials")
    host = canonical_host(parts.hostname or "")
    target = _without_dots(escaped(parts.path)) or "/"
    query = escaped(parts.query)
    port = _PORTS[scheme] if parts.port is None else parts.port
    return Url(scheme, host, port, f"{target}?{query}" if query else target)


def canonical_host(name: str) -> str:
    """Return a host name or address as it is compared. Raises `ValueError` when it is neither."""
    if ":" in name:
        address = ipaddress.IPv6Address(name)
        if address.scope_id:
            raise ValueError("is an address with a scope")
        return str(address)
    if len(name) > 253:
        raise ValueError("has a host name that is too long")
    host = (name if name.isascii() else name.encode("idna").decode()).lower().removesuffix(".")
    if not _HOST.fullmatch(host):
        raise ValueError("has no valid host")
    if _NUMERIC.fullmatch(host):
        return str(ipaddress.IPv4Address(host))  # refuses every other spelling of an address
    return host


def escaped(text: str) -> str:
    """Escape what must be, and give back what was escaped needlessly."""
    text = "".join(c if c in _KEPT else "".join(f"%{byte:02X}" for byte in c.encode(errors="replace")) for c in text)
    text = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", text)
    return _ESCAPE.sub(_unescaped, text)


def _unescaped(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()


def _without_dots(path: str) -> str:
    """Resolve ``.`` and ``..`` (RFC 3986, 5.2.4), which may appear only now that escapes are undone."""
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            del kept[max(1, len(kept) - 1) :]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/".join(kept)
