"""Verification: index = F(sources)? The whole source is computed anew and compared with what is published.

The comparison is a set difference in both directions over documents, sections, chunks, vectors and
access. What a rebuild would hold is staged exactly as for a refresh, so a repair is nothing but its publication.
"""

from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from rag_pipeline.database.statements import statements
from rag_pipeline.handover import Chunked
from rag_pipeline.index.staging import load_staging, set_refused_aside
from rag_pipeline.recipe import Recipe
from rag_pipeline.workspace import Workspace

EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class Verification:
    """How far the index is from its source; each kind counts rows and names the first few."""

    source: str
    documents: int
    ghosts: int
    missing: int
    different: int
    repaired: int = 0
    quarantined: int = 0
    examples: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether the index is what its source says."""
        return not (self.ghosts or self.missing or self.different)


def recount(connection: Connection[Any], generation: int) -> None:
    """Count anew what triggers keep of all chunks: how common words are, and how much each access list admits to."""
    with connection.transaction():
        connection.execute(statements("publish_terms")["lock_keywords"], {"generation": generation})
        for name in ("recount_lexicon", "count_lexicon", "recount_sizes", "count_sizes", "recount_state"):
            connection.execute(statements("verify")[name])
        connection.execute(statements("publish_terms")["reweigh"])


def compare(connection: Connection[Any], workspace: Workspace, chunked: Chunked, recipe: Recipe) -> Verification:
    """Compare the published rows of a source with those that ``everything`` computed anew."""
    snapshot = chunked.changes.hashes.snapshot
    load_staging(connection, workspace, snapshot.folder, recipe.model)
    asked = {"source": snapshot.source, "model": recipe.model, "language": recipe.language}
    connection.execute(statements("staging")["find_known_refused"], asked | {"generation": chunked.changes.generation})
    refused = set_refused_aside(connection, recipe.model)
    connection.execute(statements("publish_rows")["settle_languages"], asked)
    counts: dict[str, int] = {}
    examples: list[str] = []
    for kind in ("ghosts", "missing", "different"):
        rows = connection.execute(statements("verify")[kind], asked).fetchall()
        counts[kind] = len(rows)
        examples += [f"{kind}: {what}" for (what,) in rows[:EXAMPLES]]
    return Verification(
        source=snapshot.source,
        documents=chunked.changes.published,
        quarantined=chunked.quarantined + refused,
        examples=tuple(examples),
        **counts,
    )
