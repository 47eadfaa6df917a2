"""The protocol that every connector keeps, and the one limit that they share."""

from collections.abc import Iterator
from typing import Protocol

from rag_pipeline.model import DocumentRef, Failure, ListingEnd

MAX_DOCUMENT_BYTES = 50_000_000
"""Larger documents are listed as failures: a limit that keeps one file from taking the run down."""


class Source(Protocol):
    """A place that documents come from."""

    def check(self) -> None:
        """Raise `ConfigurationError` when the source cannot work as configured, `TransientError` when not now."""
        ...

    def list(self) -> Iterator[DocumentRef | Failure | ListingEnd]:
        """Yield every document once, in any order, and as the very last item a `ListingEnd`.

        Ids are stable and listing twice yields the same. Whatever cannot be listed is a `Failure` (one
        document) or makes the end incomplete (an unknown number of documents); it is never left out
        silently.
        """
        ...

    def fetch(self, ref: DocumentRef) -> bytes:
        """Return the document's bytes, whole. Raises `DocumentError` when this document cannot be read."""
        ...

    def close(self) -> None:
        """Release processes and connections; the source is not used afterwards."""
        ...
