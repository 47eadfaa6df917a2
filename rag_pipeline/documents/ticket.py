"""A ticket in normal form becomes its title, its text, and a section for each comment.

Promises: a comment's heading tells who wrote it and when; headings inside a body stand below the title's, those
inside a comment below the comment's. State, labels, author and times are metadata only: they change often, and
a change of them must not cost an embedding.
"""

from typing import Any

from rag_pipeline.documents import compose
from rag_pipeline.documents.canonical import clean
from rag_pipeline.documents.writer import Writer, one_line
from rag_pipeline.model import BlockKind, Document
from rag_pipeline.sources.ticket import Comment, Ticket


def parse(data: bytes) -> Document:
    """Parse a ticket in normal form. Raises `DocumentError` for anything else."""
    ticket = Ticket.from_bytes(data)
    writer = Writer()
    writer.add(BlockKind.HEADING, one_line(ticket.title), 1)
    compose.append(writer, compose.part(ticket.body, ticket.body_type), below=1)
    for comment in ticket.comments:
        if comment.body.strip():
            writer.add(BlockKind.HEADING, _heading(comment), 2)
            compose.append(writer, compose.part(comment.body, ticket.body_type), below=2)
    declared = {
        "state": ticket.state,
        "labels": list(ticket.labels),
        "author": ticket.author,
        "created_at": ticket.created_at,
        "updated_at": ticket.updated_at,
    }
    known = {name: value for name, value in declared.items() if value}
    return writer.document(ticket.title, _clean({**ticket.metadata, **known}))


def _heading(comment: Comment) -> str:
    """Who and which day; one line."""
    author = f" by {comment.author.strip()}" if comment.author.strip() else ""
    day = f", {comment.at.strip().split('T')[0]}" if comment.at.strip() else ""
    return one_line(f"Comment{author}{day}")


def _clean(value: Any) -> Any:
    match value:
        case str():
            return clean(value)
        case dict():
            return {clean(str(name)): _clean(item) for name, item in value.items()}
        case list():
            return [_clean(item) for item in value]
    return value
