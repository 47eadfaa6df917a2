"""A website in this process: pages in a dictionary, conditional requests answered, everything that went out noted."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rag_pipeline_tests.serving import serving


@dataclass(frozen=True)
class Reply:
    """What a path answers with. Without `etag` it has none; `headers` are sent as they are."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    etag: bool = True


Behaviour = Callable[[BaseHTTPRequestHandler], None]


@dataclass(frozen=True)
class Request:
    path: str
    status: int
    sent: int
    host: str
    agent: str


def page(text: str, head: str = "") -> Reply:
    return Reply(
        f"<html><head>{head}</head><body><p>{text}</p></body></html>".encode(), headers={"Content-Type": "text/html"}
    )


def redirect(to: str, status: int = 301) -> Reply:
    return Reply(status=status, headers={"Location": to})


def sitemap(*urls: str, root: str = "urlset", lastmod: str = "") -> Reply:
    kind = "url" if root == "urlset" else "sitemap"
    changed = f"<lastmod>{lastmod}</lastmod>" if lastmod else ""
    items = "".join(f"<{kind}><loc>{url}</loc>{changed}</{kind}>" for url in urls)
    xml = f'<?xml version="1.0" encoding="UTF-8"?><{root} xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{items}</{root}>'
    return Reply(xml.encode(), headers={"Content-Type": "application/xml"})


class WebServer:
    """The site at `url`; a path that is not in `replies` is 404. A `Behaviour` does all of the answering itself."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply | Behaviour] = {}
        self.requests: list[Request] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.host}"

    def statuses(self) -> dict[str, int]:
        return {request.path: request.status for request in self.requests}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                reply = web.replies.get(self.path, Reply(b"not here", 404, etag=False))
                if isinstance(reply, Reply):
                    self.answer(reply)
                else:
                    self.close_connection = True
                    self.note(0, 0)
                    reply(self)

            def answer(self, reply: Reply) -> None:
                headers = dict(reply.headers)
                body, status = reply.body, reply.status
                if status == 200 and reply.etag:
                    headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
                known = self.headers.get("If-None-Match"), self.headers.get("If-Modified-Since")
                if status == 200 and (
                    (known[0] and known[0] == headers.get("ETag"))
                    or (not known[0] and known[1] and known[1] == headers.get("Last-Modified"))
                ):
                    body, status = b"", 304
                self.note(status, len(body))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 304:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def note(self, status: int, sent: int) -> None:
                asked = self.headers
                web.requests.append(Request(self.path, status, sent, asked["Host"], asked["User-Agent"]))

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


def certificate(host: str) -> bytes:
    """Return a key and a certificate for a host, signed by itself, as one PEM text."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    text = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(text, *plain) + made.public_bytes(text)


@contextmanager
def web_server() -> Iterator[WebServer]:
    """Run a site on a free port of 127.0.0.1."""
    server = WebServer()
    with serving(server.server):
        yield server
