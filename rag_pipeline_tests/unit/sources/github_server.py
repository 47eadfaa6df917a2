"""A local server that speaks the part of the GitHub API that the connector uses, and can be told to misbehave.

Pages hold three items, so that a few issues make several; its clock stands still unless a test moves it.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from rag_pipeline_tests.serving import serving

PAGE = 3
REPOSITORY = "acme/tool"


def stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


@dataclass
class Fault:
    """One wrong answer to the next request whose path and query contain `where`."""

    where: str
    status: int
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b'{"message": "as told"}'


@dataclass
class GithubServer:
    """The state of one repository; a test changes it as people would."""

    url: str = ""
    token: str | None = None
    now: datetime = datetime(2024, 5, 1, 12, tzinfo=UTC)
    issues: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    discussions: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict[int, list[dict[str, Any]]])
    reviews: dict[int, list[dict[str, Any]]] = field(default_factory=dict[int, list[dict[str, Any]]])
    summaries: dict[int, list[dict[str, Any]]] = field(default_factory=dict[int, list[dict[str, Any]]])
    transferred: set[int] = field(default_factory=set[int])
    faults: list[Fault] = field(default_factory=list[Fault])
    requests: list[str] = field(default_factory=list[str])
    before_page: Callable[[int], None] = lambda _page: None
    links: Callable[[int, dict[str, str]], dict[str, str]] = lambda _page, links: links

    def tick(self, **span: float) -> None:
        self.now += timedelta(**(span or {"minutes": 1}))

    def open(self, number: int, *, pull: bool = False, **more: Any) -> None:
        """Someone opens an issue or a pull request."""
        self.tick()
        self.issues[number] = {
            "number": number,
            "title": f"T{number}",
            "body": f"text {number}",
            "state": "open",
            "labels": [{"name": "bug"}],
            "user": {"login": "ana"},
            "html_url": f"https://github.example/{REPOSITORY}/{'pull' if pull else 'issues'}/{number}",
            "created_at": stamp(self.now),
            "updated_at": stamp(self.now),
            **({"pull_request": {"merged_at": None}} if pull else {}),
            **more,
        }

    def change(self, number: int, **more: Any) -> None:
        self.tick()
        self.issues[number] |= {"updated_at": stamp(self.now), **more}

    def say(self, number: int, body: str, *, review: bool = False) -> None:
        """Someone comments."""
        self.tick()
        said = self.reviews if review else self.comments
        said.setdefault(number, []).append({"body": body, "user": {"login": "bo"}, "created_at": stamp(self.now)})
        self.issues[number] |= {"updated_at": stamp(self.now)}

    def review(self, number: int, body: str | None, state: str = "COMMENTED") -> None:
        """Someone reviews a pull request as a whole; nobody else hears of a review that is still PENDING."""
        self.tick()
        at = {} if state == "PENDING" else {"submitted_at": stamp(self.now)}
        self.summaries.setdefault(number, []).append({"body": body, "user": {"login": "cy"}, "state": state, **at})
        if at:
            self.issues[number] |= {"updated_at": stamp(self.now)}

    def discuss(self, number: int, *said: tuple[str, int]) -> None:
        """Someone opens a discussion, with comments of so many replies each."""
        self.tick()
        at = {"author": {"login": "ana"}, "createdAt": stamp(self.now)}
        self.discussions[number] = {
            "number": number,
            "title": f"D{number}",
            "body": f"talk {number}",
            "closed": False,
            "url": f"https://github.example/{REPOSITORY}/discussions/{number}",
            "updatedAt": stamp(self.now),
            "labels": {"nodes": [{"name": "idea"}]},
            "category": {"name": "Ideas"},
            **at,
            "said": [
                {"id": f"{number}-{n}", "body": body, **at}
                | {"replies": [{"body": f"{body} {reply}", **at} for reply in range(replies)]}
                for n, (body, replies) in enumerate(said)
            ],
        }

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        """Answer a GET of the REST API with a status, headers and a JSON value."""
        base = f"/repos/{REPOSITORY}"
        if path == base:
            return 200, {}, {"full_name": REPOSITORY}
        if path == f"{base}/issues":
            number = int(query.get("page", "1"))
            self.before_page(number)
            assert (query["state"], query["sort"], query["direction"]) == ("all", "created", "asc")
            items = [item for item in self.issues.values() if item["updated_at"] >= query.get("since", "")]
            items.sort(key=lambda item: item["created_at"])
            return self._page([self._shown(item) for item in items], path, query)
        digits, _, rest = path.removeprefix(f"{base}/issues/").removeprefix(f"{base}/pulls/").partition("/")
        number = int(digits)
        if number in self.transferred:
            return 301, {"Location": f"{self.url}/repositories/9/issues/1"}, {"message": "Moved Permanently"}
        if number not in self.issues:
            return 404, {}, {"message": "Not Found"}
        if rest:
            said = {"reviews": self.summaries, "comments": self.reviews if "/pulls/" in path else self.comments}[rest]
            return self._page(said.get(number, []), path, query)
        return 200, {}, self._shown(self.issues[number])

    def query(self, text: str, variables: dict[str, Any]) -> Any:
        """Answer a GraphQL query."""
        start = int(variables["after"] or 0)
        if "node(id" in text:
            number, _, place = variables["id"].partition("-")
            return {
                "node": {"replies": _connection(self.discussions[int(number)]["said"][int(place)]["replies"], start)}
            }
        if "discussion(number" in text:
            found = self.discussions.get(variables["number"])
            if found is None:
                return {"repository": {"discussion": None}}
            said = [item | {"replies": _connection(item["replies"], 0)} for item in found["said"]]
            return {"repository": {"discussion": found | {"comments": _connection(said, start)}}}
        shown = [item | {"comments": {"totalCount": len(item["said"])}} for item in self.discussions.values()]
        return {"repository": {"discussions": _connection(shown, start)}}

    def _shown(self, item: dict[str, Any]) -> dict[str, Any]:
        return item | {"comments": len(self.comments.get(item["number"], []))}

    def _page(self, items: list[Any], path: str, query: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        number, last = int(query.get("page", "1")), max(1, -(-len(items) // PAGE))
        pages = {"next": number + 1, "last": last} if number < last else {}
        links = self.links(
            number, {name: f"{self.url}{path}?{urlencode(query | {'page': page})}" for name, page in pages.items()}
        )
        header = {"Link": ", ".join(f'<{url}>; rel="{name}"' for name, url in links.items())} if links else {}
        return 200, header, items[(number - 1) * PAGE : number * PAGE]


def _connection(items: list[Any], start: int) -> dict[str, Any]:
    end = start + PAGE
    return {"nodes": items[start:end], "pageInfo": {"hasNextPage": end < len(items), "endCursor": str(end)}}


@contextmanager
def github_server() -> Iterator[GithubServer]:
    """Serve an empty repository on the loopback interface."""
    state = GithubServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            self.respond(lambda: state.answer(parts.path, {k: v[0] for k, v in parse_qs(parts.query).items()}))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.respond(lambda: (200, {}, {"data": state.query(body["query"], body["variables"])}))

        def respond(self, answer: Callable[[], tuple[int, dict[str, str], Any]]) -> None:
            state.requests.append(self.path)
            fault = next((fault for fault in state.faults if fault.where in self.path), None)
            if fault:
                state.faults.remove(fault)
                status, headers, body = fault.status, fault.headers, fault.body
            elif state.token is not None and self.headers["Authorization"] != f"Bearer {state.token}":
                status, headers, body = 401, {}, b'{"message": "Bad credentials"}'
            else:
                status, headers, value = answer()
                body = json.dumps(value).encode()
            self.send_response_only(status)
            for name, value in {"Date": format_datetime(state.now, usegmt=True), **headers}.items():
                self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    with serving(server):
        yield state
