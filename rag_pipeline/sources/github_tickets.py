"""An issue or a pull request with all its comments, as a `Ticket`."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rag_pipeline.sources.github_api import GithubApi, Gone
from rag_pipeline.sources.ticket import Comment, Ticket


def fetch_issue(api: GithubApi, repository: str, kind: str, number: int) -> Ticket:
    """Return an issue or a pull request, whose reviews and review comments stand among the others by their times.

    A review counts if it was submitted and says something of its own. Raises `Gone` when the issue was deleted or
    transferred, or is of the other kind now.
    """
    base = f"/repos/{repository}"
    issue = api.get(f"{base}/issues/{number}")
    if not isinstance(issue, dict) or issue.get("number") != number or kind_of(issue) != kind:
        raise Gone("is now something else")
    lists = [f"{base}/issues/{number}/comments"] if issue.get("comments") else []
    if kind == "pull_request":
        lists.append(f"{base}/pulls/{number}/comments")
    comments = [comment_of(item, "user", "created_at") for path in lists for page in api.pages(path) for item in page]
    if kind == "pull_request":
        comments += _reviews(api, f"{base}/pulls/{number}/reviews")
    pull_request = issue.get("pull_request")
    merged = isinstance(pull_request, Mapping) and bool(pull_request.get("merged_at"))
    return Ticket(
        title=text_of(issue, "title"),
        body=text_of(issue, "body"),
        state=text_of(issue, "state"),
        labels=names_of(issue.get("labels")),
        author=text_of(issue.get("user"), "login"),
        created_at=text_of(issue, "created_at"),
        updated_at=text_of(issue, "updated_at"),
        comments=tuple(sorted(comments, key=lambda comment: comment.at)),
        metadata={"kind": kind, "number": number} | ({"merged": True} if merged else {}),
    )


def _reviews(api: GithubApi, path: str) -> Iterator[Comment]:
    """Yield what reviews say in summary; one that is not submitted yet is its author's own affair."""
    for page in api.pages(path):
        for item in page:
            review = comment_of(item, "user", "submitted_at")
            if review.at and review.body.strip():
                yield review


def kind_of(issue: Mapping[str, Any]) -> str:
    """Say which of the two things an entry of the issues' list is."""
    return "pull_request" if issue.get("pull_request") else "issue"


def comment_of(item: Any, author: str, at: str) -> Comment:
    """Return a comment; `author` and `at` are the keys of who wrote it and when."""
    writer = item.get(author) if isinstance(item, Mapping) else None
    return Comment(text_of(writer, "login"), text_of(item, at), text_of(item, "body"))


def text_of(item: Any, key: str) -> str:
    """Return a text of an object; empty where it is null, as the author is whose account was deleted."""
    value = item.get(key) if isinstance(item, Mapping) else None
    return value if isinstance(value, str) else ""


def names_of(labels: Iterable[Any] | None) -> tuple[str, ...]:
    """Return the names of labels."""
    return tuple(name for name in (text_of(label, "name") for label in labels or ()) if name)
