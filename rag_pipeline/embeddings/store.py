"""Stage 5, `embeddings`: every chunk's text gets a vector, and no text is ever paid for twice.

The store is content-addressed and shared by all documents, sources and generations. Texts are streamed to the
model and every batch is committed as it comes, with what it cost, so that a crash loses no more than the
batches in flight. A text that the model refuses quarantines its documents; the others go on.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pgvector import HalfVector
from psycopg import Connection

from rag_pipeline.database.copy import copy_rows
from rag_pipeline.database.statements import statements
from rag_pipeline.embeddings import Batch, Embedder, Refusal
from rag_pipeline.embeddings.budget import Budget
from rag_pipeline.embeddings.drift import difference, kept_sample, model_changed
from rag_pipeline.embeddings.lookup import Wanted, look_up
from rag_pipeline.embeddings.refused import quarantine_refused
from rag_pipeline.errors import RagError
from rag_pipeline.handover import Chunked, Embedded
from rag_pipeline.parquet import batches, read_rows
from rag_pipeline.progress import Progress
from rag_pipeline.workspace import Workspace

_LOOK_UP = 2_000
_KNOWN = 1_000
"""Vectors that are counted, at most, to know that the model takes such texts."""


_BOUGHT_TYPES = {"model": "text", "embed_hash": "bytea", "embedding": "halfvec", "tokens": "int4"}


@dataclass(slots=True)
class _Bought:
    """What a run has bought so far."""

    texts: int = 0
    tokens: int = 0
    cost_usd: Decimal | None = Decimal(0)
    refused: dict[bytes, Refusal] = field(default_factory=dict[bytes, Refusal])

    def add(self, tokens: int, cost_usd: Decimal | None) -> None:
        """Count a request; from the first one without a price on the cost of all is unknown."""
        self.tokens += tokens
        self.cost_usd = None if cost_usd is None or self.cost_usd is None else self.cost_usd + cost_usd


def embed_missing(
    connection: Connection[Any],
    workspace: Workspace,
    chunked: Chunked,
    embedder: Embedder,
    progress: Progress,
    run_id: str | None,
    budget: Budget,
) -> Embedded:
    """Embed the texts of ``chunks.parquet`` that the store does not have, and record the use of the model.

    Whatever error ends it, `BudgetExhausted` among them, what was bought until then is in the store and in the
    ledger.
    """
    started = time.monotonic()
    wanted = look_up(connection, workspace, chunked, embedder.model)
    total = wanted.missing
    progress("embeddings", 0, total)
    bought = _Bought()
    store = _Store(connection, embedder.model, chunked.changes.hashes.snapshot.source, run_id, budget)
    if wanted.texts:
        store.note(wanted)
    if total:
        connection.execute(statements("embeddings")["create_bought"])
        bought.add(*store.check_sample(embedder))
        under_way: dict[int, bytes] = {}
        texts = _missing_texts(connection, workspace, chunked, embedder.model, under_way, bought.refused)
        for batch in embedder.embed(texts, budget.reserve, store.known()):
            hashes = [under_way[position] for position in batch.positions]
            store.keep(batch, hashes)
            bought.texts += len(hashes)
            bought.add(batch.tokens, budget.cost(batch.tokens))
            bought.refused.update((under_way[position], refusal) for position, refusal in batch.refused)
            for position in (*batch.positions, *(position for position, _ in batch.refused)):
                del under_way[position]
            progress("embeddings", bought.texts + len(bought.refused), total)
    progress("embeddings", bought.texts, bought.texts)
    return Embedded(
        quarantine_refused(workspace, chunked, bought.refused),
        embedder.model,
        chunked.chunks,
        bought.texts,
        bought.tokens,
        None if bought.cost_usd is None else float(bought.cost_usd),
        time.monotonic() - started,
        wanted.texts,
        wanted.found,
        wanted.tokens_saved,
    )


@dataclass(frozen=True, slots=True)
class _Store:
    """The store and the ledger, for one run over one source."""

    connection: Connection[Any]
    model: str
    source: str
    run_id: str | None
    budget: Budget

    def note(self, wanted: Wanted) -> None:
        """Write down what was wanted, and what the store saved."""
        self.connection.execute(
            statements("lookup")["add_lookup"],
            {
                "run_id": self.run_id,
                "source": self.source,
                "model": self.model,
                "purpose": "index",
                "texts": wanted.texts,
                "found": wanted.found,
                "tokens_saved": wanted.tokens_saved,
                "saved_usd": self.budget.cost(wanted.tokens_saved),
            },
        )

    def known(self) -> int:
        """Return how many texts the model has taken, as far as it matters."""
        found = self.connection.execute(statements("embeddings")["known"], {"model": self.model, "most": _KNOWN})
        row = found.fetchone()
        assert row is not None
        return row[0]

    def check_sample(self, embedder: Embedder) -> tuple[int, Decimal | None]:
        """Compare the model behind a service with the one that was there at first; return what that cost.

        Raises `PermanentError` when it is another one, and whatever keeps the service from answering.
        """
        queries = statements("embeddings")
        reserved = 0

        def reserve(tokens: int) -> None:
            nonlocal reserved
            self.budget.reserve(tokens)
            reserved += tokens

        try:
            sample = embedder.sample(reserve)
        except RagError as error:
            with self.connection.transaction():
                if error.tokens:
                    self._charge("sample", 0, error.tokens)
                self.budget.spend(reserved, error.tokens)
            raise
        tokens = sample.tokens if sample else 0
        with self.connection.transaction():
            if sample:
                self._charge("sample", 0, tokens)
                kept = {"embedding": HalfVector(sample.vector), "answered_as": sample.answered_as}
                self.connection.execute(queries["keep_sample"], {"model": self.model} | kept)
            self.budget.spend(reserved, tokens)
        row = self.connection.execute(queries["kept_sample"], {"model": self.model}).fetchone()
        if sample and row and (what := difference(kept_sample(row[0].to_list(), row[1]), sample)):
            raise model_changed(self.model, what)
        return tokens, self.budget.cost(tokens)

    def keep(self, batch: Batch, hashes: list[bytes]) -> None:
        """Commit a batch and what it cost, together."""
        queries = statements("embeddings")
        with self.connection.transaction():
            if hashes:
                rows = zip(hashes, batch.vectors, batch.counts, strict=True)
                copy_rows(
                    self.connection,
                    "bought",
                    _BOUGHT_TYPES,
                    ((self.model, embed_hash, HalfVector(vector), count) for embed_hash, vector, count in rows),
                )
                self.connection.execute(queries["keep_bought"])
                self.connection.execute(queries["clear_bought"])
            if hashes or batch.tokens:
                self._charge("index" if hashes else "lost", len(hashes), batch.tokens)
            self.budget.spend(batch.reserved, batch.tokens)

    def _charge(self, purpose: str, texts: int, tokens: int) -> None:
        self.connection.execute(
            statements("embeddings")["add_usage"],
            {
                "run_id": self.run_id,
                "source": self.source,
                "model": self.model,
                "purpose": purpose,
                "texts": texts,
                "tokens": tokens,
                "cost_usd": self.budget.cost(tokens),
            },
        )


def _missing_texts(
    connection: Connection[Any],
    workspace: Workspace,
    chunked: Chunked,
    model: str,
    under_way: dict[int, bytes],
    refused: dict[bytes, Refusal],
) -> Iterator[str]:
    """Yield each distinct text without a vector, in the order of the chunks; asks the store a block at a time.

    The hash of each is noted in `under_way` by its position, until its vector is in the store: that is how a
    text is not bought again that comes up again before it is there.
    """
    known_among = statements("embeddings")["known_among"]
    file = workspace.file(chunked.changes.hashes.snapshot.folder, "chunks.parquet")
    position = 0
    for block in batches(read_rows(file, ["embed_hash", "embed_text"]), _LOOK_UP):
        texts = {row["embed_hash"]: row["embed_text"] for row in block if row["embed_hash"] not in refused}
        for embed_hash in under_way.values():
            texts.pop(embed_hash, None)
        for (embed_hash,) in connection.execute(known_among, {"model": model, "hashes": list(texts)}):
            del texts[embed_hash]
        for embed_hash, text in texts.items():
            under_way[position] = embed_hash
            position += 1
            yield text
