"""Hits for tests that need no index."""

from rag_pipeline.query import Hit


def hit(document: str, *heading_path: str, chunk: str = "", source: str = "docs") -> Hit:
    """A hit in a document, under a heading path."""
    return Hit(
        chunk_id=chunk or f"{document}#{'/'.join(heading_path)}",
        document_id=document,
        source=source,
        uri=f"file:///{document}",
        title=document,
        heading_path=heading_path,
        text="words",
        window="words around",
        modified_at=None,
        position=0,
        place={},
        stale=False,
        version="00",
    )
