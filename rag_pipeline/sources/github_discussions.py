"""Discussions, which GitHub gives by GraphQL only, and only to those who have a token."""

from collections.abc import Iterator, Mapping
from typing import Any

from rag_pipeline.sources.github_api import GithubApi, Gone
from rag_pipeline.sources.github_tickets import comment_of, names_of, text_of
from rag_pipeline.sources.ticket import Comment, Ticket, value_at

_LIST = """
query($owner: String!, $name: String!, $after: String) {
  repository(owner: $owner, name: $name) {
    discussions(first: 100, after: $after, orderBy: {field: CREATED_AT, direction: ASC}) {
      pageInfo { hasNextPage endCursor }
      nodes { number url updatedAt comments { totalCount } }
    }
  }
}
"""
_ONE = """
query($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    discussion(number: $number) {
      title body closed createdAt updatedAt
      author { login }
      category { name }
      labels(first: 100) { nodes { name } }
      comments(first: 50, after: $after) {
        pageInfo { hasNextPage endCursor }
        nodes {
          id author { login } createdAt body
          replies(first: 50) { pageInfo { hasNextPage } nodes { author { login } createdAt body } }
        }
      }
    }
  }
}
"""
_REPLIES = """
query($id: ID!, $after: String) {
  node(id: $id) {
    ... on DiscussionComment {
      replies(first: 100, after: $after) {
        pageInfo { hasNextPage endCursor }
        nodes { author { login } createdAt body }
      }
    }
  }
}
"""


def list_discussions(api: GithubApi, repository: str) -> Iterator[Mapping[str, Any]]:
    """Yield number, url, updatedAt and comments.totalCount of each. Raises `Gone` when there is no such list."""
    owner, _, name = repository.partition("/")
    for data in api.graphql_pages(_LIST, "repository.discussions", owner=owner, name=name):
        page = value_at(data, "repository.discussions.nodes")
        if not isinstance(page, list):
            raise Gone("GitHub gives no list of discussions")
        yield from page


def fetch_discussion(api: GithubApi, repository: str, number: int) -> Ticket:
    """Return a discussion; the replies to a comment follow it. Raises `Gone` when it was deleted or transferred."""
    owner, _, name = repository.partition("/")
    found: Any = None
    comments: list[Comment] = []
    path = "repository.discussion"
    for data in api.graphql_pages(_ONE, f"{path}.comments", owner=owner, name=name, number=number):
        found = value_at(data, path)
        if found is None:
            raise Gone("was deleted or transferred")
        for item in value_at(found, "comments.nodes") or []:
            comments.append(comment_of(item, "author", "createdAt"))
            comments += [comment_of(reply, "author", "createdAt") for reply in _replies(api, item)]
    return Ticket(
        title=text_of(found, "title"),
        body=text_of(found, "body"),
        state="closed" if value_at(found, "closed") else "open",
        labels=names_of(value_at(found, "labels.nodes")),
        author=text_of(value_at(found, "author"), "login"),
        created_at=text_of(found, "createdAt"),
        updated_at=text_of(found, "updatedAt"),
        comments=tuple(comments),
        metadata={"kind": "discussion", "number": number, "category": text_of(value_at(found, "category"), "name")},
    )


def _replies(api: GithubApi, comment: Any) -> Iterator[Any]:
    """Yield the replies to a comment: those that came with it, unless there are more."""
    if not value_at(comment, "replies.pageInfo.hasNextPage"):
        yield from value_at(comment, "replies.nodes") or []
        return
    for data in api.graphql_pages(_REPLIES, "node.replies", id=value_at(comment, "id")):
        yield from value_at(data, "node.replies.nodes") or []
