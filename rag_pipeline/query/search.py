"""Search over the live generation, as role ``rag_reader``: it may call the search functions and nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import psycopg
from pgvector import HalfVector
from psycopg import Connection, IsolationLevel
from psycopg.rows import class_row

from rag_pipeline.database.connection import connect
from rag_pipeline.database.statements import statements
from rag_pipeline.errors import ConfigurationError, TransientError
from rag_pipeline.query.hits import Hit, Hits
from rag_pipeline.query.question import Caller, Filters
from rag_pipeline.storable import storable

if TYPE_CHECKING:
    from rag_pipeline.embeddings import Embedder
    from rag_pipeline.settings import Settings

MAX_HITS = 100
MAX_CHARACTERS = 10_000
_EVERYTHING = Filters()


class Index:
    """An open index. Make one with `Index.connect`; it serves one thread at a time."""

    def __init__(self, connection: Connection[Any], settings: "Settings") -> None:
        """Take a connection of role rag_reader that is in no transaction."""
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        self._connection = connection
        self._settings = settings

    @classmethod
    @contextmanager
    def connect(cls, settings: "Settings | None" = None) -> Iterator["Index"]:
        """Open the index of the settings (the nearest ``rag.toml``) and close it at the end of the block.

        Raises `ConfigurationError` when there is no such index, `TransientError` when it does not answer now.
        """
        if settings is None:
            from rag_pipeline.settings import Settings

            settings = Settings.load()
        with connect(settings, role="rag_reader") as connection:
            yield cls(connection, settings)

    def search(self, text: str, *, caller: Caller, k: int = 10, filters: Filters = _EVERYTHING) -> Hits:
        """Return up to `k` chunks, nearest first, of those that the caller may read and the filters admit.

        Raises `ValueError` for a question or `k` out of bounds, `ConfigurationError` when nothing is
        indexed yet or the index was made with another model, `TransientError` when it does not answer now.
        """
        if not text.strip():
            raise ValueError("the question is empty")
        if len(text) > MAX_CHARACTERS:
            raise ValueError(f"the question has {len(text):,} characters; at most {MAX_CHARACTERS:,} are allowed")
        if not 1 <= k <= MAX_HITS:
            raise ValueError(f"k is {k}; ask for 1 to {MAX_HITS} hits")
        model = self._embedder.model
        question = {
            "vector": HalfVector(self._embedder.embed_query(storable(text))),
            "model": model,
            "principals": list(caller.principals),
            "k": k,
            "sources": None if filters.sources is None else list(filters.sources),
            "modified_since": filters.modified_since,
            "where": filters.where_json,
        }
        queries = statements("search")
        try:
            with self._connection.transaction(), self._connection.cursor(row_factory=class_row(Hit)) as cursor:
                state = self._connection.execute(queries["index_state"], question).fetchone()
                if state is None:
                    raise _nothing_indexed()
                generation, indexed_with, as_of = state
                if indexed_with != model:
                    raise ConfigurationError(
                        f"[embedding] asks for {model}, but generation {generation} of the index was made with "
                        f"{indexed_with}; put the settings back, or make a new index with them"
                    )
                return Hits(cursor.execute(queries["nearest"], question), as_of)
        except psycopg.errors.UndefinedFunction as error:
            raise _nothing_indexed() from error
        except psycopg.DataError as error:
            raise ValueError(f"the filters cannot be used: {error.diag.message_primary or error}") from error
        except psycopg.OperationalError as error:
            raise TransientError(f"the index stopped answering; connect again: {error}") from error

    @cached_property
    def _embedder(self) -> "Embedder":
        from rag_pipeline.embeddings import open_embedder

        return open_embedder(self._settings.embedding)


def _nothing_indexed() -> ConfigurationError:
    return ConfigurationError("nothing is indexed yet; fill the index with: rag-pipeline refresh")
