"""The GitHub API over HTTP: requests that are patient but bounded, and pages that are all there or reported.

The token goes to the configured API alone: no redirect is followed, no page of another host is asked for.
What only a person can change is a `ConfigurationError`, what may pass a `TransientError`, what is not there `Gone`.
"""

import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from rag_pipeline.errors import ConfigurationError, DocumentError, TransientError
from rag_pipeline.sources.ticket import value_at

PATIENCE_SECONDS = 60.0
"""What one connector waits for rate limits to pass, all in all; beyond it, it says when to try again."""

RETRY_PAUSES = (1.0, 3.0)
"""Seconds before each further try of a request that met a server's error or no server."""

_TIMEOUT_SECONDS = 30.0
_GONE = (301, 302, 307, 308, 404, 410)
_REFUSED = (401, 403, 451)


class Gone(DocumentError):
    """Nothing is there: it was deleted, has moved elsewhere, or the token may not know of it."""


class GithubApi:
    """A session with one API. `label` names the source in messages, `token_env` the variable that holds the token."""

    def __init__(self, url: str, token_env: str, label: str) -> None:
        """Take the address; the token is read now, nothing is contacted yet. Raises `ConfigurationError`."""
        self._url = httpx2.URL(url.rstrip("/"))
        self._label = label
        self._token_env = token_env
        token = os.environ.get(token_env, "")
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise ConfigurationError(f"{label}: {token_env} holds what no token does; set it to the token alone")
        self.has_token = bool(token)
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._client = httpx2.Client(headers=headers, timeout=_TIMEOUT_SECONDS, follow_redirects=False)
        self._patience = PATIENCE_SECONDS
        self.now: datetime | None = None

    def get(self, path: str) -> Any:
        """Return what lies at a path. Raises `Gone`."""
        return self._json(self._ask("GET", f"{self._url}{path}"))

    def pages(self, path: str, **parameters: str) -> Iterator[list[Any]]:
        """Yield the pages of a list until the last one. Raises `Gone` when there is no list.

        Raises `TransientError` when the pages lead in a circle, to another host, or end before the last one
        that the first page announced.
        """
        url = self._url.copy_with(path=self._url.path.rstrip("/") + path, params={**parameters, "per_page": "100"})
        seen: set[str] = set()
        announced = 0
        following: httpx2.URL | None = url
        while following is not None:
            if str(following) in seen:
                raise TransientError(f"{self._label}: page {len(seen) + 1} of {path} leads back to an earlier one")
            seen.add(str(following))
            response = self._ask("GET", str(following))
            page = self._json(response)
            if not isinstance(page, list):
                raise TransientError(f"{self._label}: page {len(seen)} of {path} is no list")
            links = {name: following.join(link["url"]) for name, link in response.links.items() if "url" in link}
            following = links.get("next")
            if len(seen) == 1 and (last := links.get("last")) is not None:
                announced = _number(last.params.get("page"))
            yield page
            if following is not None and (_origin(following) != _origin(self._url) or not page):
                raise TransientError(f"{self._label}: page {len(seen)} of {path} names a wrong next page")
            if following is None and len(seen) < announced:
                raise TransientError(f"{self._label}: {path} ended with page {len(seen)} of {announced}")

    def graphql(self, query: str, **variables: Any) -> Mapping[str, Any]:
        """Return the data of a GraphQL query, in which what does not exist is None."""
        base = str(self._url)
        url = base.removesuffix("/v3") if base.endswith("/api/v3") else base
        answer = self._json(self._ask("POST", f"{url}/graphql", body={"query": query, "variables": variables}))
        data, errors = (answer.get("data"), answer.get("errors") or []) if isinstance(answer, dict) else (None, [])
        errors = [error for error in errors if isinstance(error, dict)]
        told = _line("; ".join(str(error.get("message")) for error in errors)) or "no data"
        kinds = {error.get("type") for error in errors}
        if kinds & {"FORBIDDEN", "INSUFFICIENT_SCOPES"}:
            raise ConfigurationError(
                f"{self._label}: GitHub refuses a query: {told}; give the token in {self._token_env} the right to read"
            )
        if kinds - {"NOT_FOUND"} or not isinstance(data, dict):
            raise TransientError(f"{self._label}: GitHub does not answer a query: {told}")
        return data

    def graphql_pages(self, query: str, path: str, **variables: Any) -> Iterator[Mapping[str, Any]]:
        """Yield the data of a GraphQL query for each page of the connection at a dotted path.

        The query takes the variable ``$after``. Raises `TransientError` when the pages lead in a circle.
        """
        seen: set[str | None] = {None}
        after: str | None = None
        while True:
            data = self.graphql(query, after=after, **variables)
            yield data
            position = value_at(data, f"{path}.pageInfo") or {}
            if not position.get("hasNextPage"):
                return
            after = position.get("endCursor")
            if after in seen:
                raise TransientError(f"{self._label}: a page of {path} leads back to an earlier one")
            seen.add(after)

    def close(self) -> None:
        """End the connections."""
        self._client.close()

    def _ask(self, method: str, url: str, body: Any = None) -> httpx2.Response:
        """Return a response with a good status; wait and try again where that can help."""
        failures = 0
        while True:
            try:
                response = self._client.request(method, url, json=body)
            except httpx2.HTTPError as error:
                problem = f"GitHub cannot be reached: {type(error).__name__} at {_path(url)}: {_line(str(error))}"
            else:
                self._note_time(response)
                if response.is_success:
                    return response
                if self._waited(response):
                    continue
                self._refuse(response, url)
                problem = f"GitHub answers {response.status_code} at {_path(url)}"
            if failures == len(RETRY_PAUSES):
                raise TransientError(f"{self._label}: {problem}; the next refresh tries again")
            time.sleep(RETRY_PAUSES[failures])
            failures += 1

    def _waited(self, response: httpx2.Response) -> bool:
        """Wait until a rate limit has passed; False when the response is about something else.

        Raises `TransientError`, which says when, if that takes longer than what is left of the patience.
        """
        if response.status_code not in (403, 429):
            return False
        now = self.now or datetime.now(UTC)
        after, reset = response.headers.get("retry-after", ""), response.headers.get("x-ratelimit-reset", "")
        if after.isdigit():
            seconds = max(1.0, float(after))
        elif response.headers.get("x-ratelimit-remaining") == "0" and reset.isdigit():
            seconds = max(0.0, float(reset) - now.timestamp()) + 1
        elif response.status_code == 429 or "rate limit" in _message(response).lower():
            seconds = PATIENCE_SECONDS + 1
        else:
            return False
        if seconds > self._patience:
            remedy = "" if self.has_token else f"; a token in {self._token_env} raises the limit"
            until = datetime.fromtimestamp(min(now.timestamp() + seconds, 4e9), UTC)
            raise TransientError(f"{self._label}: GitHub's rate limit is used up until {until:%H:%M} UTC{remedy}")
        self._patience -= seconds
        time.sleep(seconds)
        return True

    def _refuse(self, response: httpx2.Response, url: str) -> None:
        """Raise `Gone`, or `ConfigurationError`, for an answer that another try does not change."""
        told = f"GitHub answers {response.status_code} at {_path(url)} ({_message(response) or 'no message'})"
        if response.status_code in _GONE:
            raise Gone(told)
        if response.status_code in _REFUSED:
            raise ConfigurationError(
                f"{self._label}: {told}; renew the token in {self._token_env}, or give it the right to read"
            )

    def _note_time(self, response: httpx2.Response) -> None:
        """Remember the server's clock, by which its times are to be read."""
        try:
            self.now = parsedate_to_datetime(response.headers.get("date", "")).astimezone(UTC)
        except ValueError:
            self.now = None

    def _json(self, response: httpx2.Response) -> Any:
        try:
            return response.json()
        except (ValueError, RecursionError) as error:
            raise TransientError(f"{self._label}: GitHub's answer is no JSON: {_path(str(response.url))}") from error


def _message(response: httpx2.Response) -> str:
    try:
        found = response.json()
    except (ValueError, RecursionError):
        return ""
    return _line(str(found.get("message", ""))) if isinstance(found, dict) else ""


def _line(text: str) -> str:
    return " ".join(text.split())[:200]


def _path(url: str) -> str:
    return httpx2.URL(url).path


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0
