"""The tools, on behalf of one caller."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import Field

from rag_pipeline import __version__
from rag_pipeline.errors import RagError
from rag_pipeline.mcp.answers import (
    RULE,
    AnswerResult,
    Result,
    SearchResult,
    WindowResult,
    answer_text,
    search_text,
    window_text,
)
from rag_pipeline.query import Caller, Filters, Index
from rag_pipeline.query.search import MAX_CHARACTERS, MAX_HITS

FARTHEST = 50
"""Sections on each side of a hit that one call may ask for."""

_READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)

Text = Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS, description="The question, in words.")]
K = Annotated[int, Field(ge=1, le=MAX_HITS, description="How many hits, at most.")]
Source = Annotated[str | None, Field(description="Search only the source of this name.")]
Since = Annotated[
    datetime | None, Field(description="Only documents modified since this date or time (ISO 8601; UTC if unsaid).")
]
Where = Annotated[dict[str, Any] | None, Field(description="Only documents whose metadata contain this JSON object.")]
ChunkId = Annotated[str, Field(min_length=1, max_length=200, description="The chunk_id of a hit.")]
Around = Annotated[int, Field(ge=0, le=FARTHEST, description="How many sections on this side.")]


def create_server(index: Index, caller: Caller) -> MCPServer:
    """Return a server over an open index. Everything that it gives out, the caller may read."""
    server = MCPServer(
        "rag-pipeline",
        version=__version__,
        instructions=f"Searches an index of documents, answers from it, and reads on around what was found. {RULE}",
        # Standard error is where the host shows what goes wrong; requests alone are not wrong.
        log_level="WARNING",
    )

    @server.tool(annotations=_READS)
    def search(
        text: Text, k: K = 10, source: Source = None, since: Since = None, where: Where = None
    ) -> Annotated[CallToolResult, SearchResult]:
        """Search the index: the passages that answer a question best, each with its source and age."""
        with _explained():
            result = SearchResult.of(index.search(text, caller=caller, k=k, filters=_filters(source, since, where)))
        return _answer(search_text(result), result)

    @server.tool(annotations=_READS)
    def answer(
        text: Text, k: K = 10, source: Source = None, since: Since = None, where: Where = None
    ) -> Annotated[CallToolResult, AnswerResult]:
        """Answer a question from the index, with citations: short where search gives passages to read oneself."""
        with _explained():
            given = index.answer(text, caller=caller, k=k, filters=_filters(source, since, where))
        result = AnswerResult.model_validate(given)
        return _answer(answer_text(result), result)

    @server.tool(annotations=_READS)
    def fetch_window(
        chunk_id: ChunkId, before: Around = 1, after: Around = 1
    ) -> Annotated[CallToolResult, WindowResult]:
        """Read the document around a hit: its section and the sections before and after it."""
        with _explained():
            passage = index.window(chunk_id, caller=caller, before=before, after=after)
        if passage is None:
            raise ToolError("there is no such chunk among what the caller may read; search again")
        result = WindowResult.model_validate(passage)
        return _answer(window_text(result), result)

    return server


def _filters(source: str | None, since: datetime | None, where: dict[str, Any] | None) -> Filters:
    return Filters(
        sources=None if source is None else [source],
        modified_since=since if since is None or since.tzinfo else since.replace(tzinfo=UTC),
        where=where,
    )


def _answer(text: str, values: Result) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content=values.model_dump(mode="json")
    )


@contextmanager
def _explained() -> Iterator[None]:
    """Turn an error that says what to do into one that the model reads."""
    try:
        yield
    except (RagError, ValueError) as error:
        raise ToolError(str(error)) from error
