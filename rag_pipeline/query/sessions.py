"""Sessions on the live generation: each transaction is read only, sees one snapshot, and notices a flip."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, LiteralString, TypeVar

import psycopg
from psycopg import Connection

from rag_pipeline.database.connection import gone
from rag_pipeline.database.statements import statements
from rag_pipeline.errors import ConfigurationError, TransientError
from rag_pipeline.query.models import AnotherGeneration, Live

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

    from rag_pipeline.embeddings import Sample

_Answer = TypeVar("_Answer")
_ATTEMPTS = 3


class Sessions:
    """A pool of sessions of role ``rag_reader``, and the generation that was live when it was last looked.

    `queries` are the statements of ``search.sql``, or the same for functions that stand elsewhere.
    """

    def __init__(
        self, pool: "ConnectionPool[Connection[Any]]", queries: "Mapping[str, LiteralString] | None" = None
    ) -> None:
        self._pool = pool
        self.queries = statements("search") if queries is None else queries
        self._live: Live | None = None

    @property
    def live(self) -> Live:
        """The generation to ask, as far as it is known; looked up the first time."""
        return self._live or self.look()

    def look(self) -> Live:
        """Ask which generation is live, and remember it."""
        with self.transaction() as connection:
            self._live = live_generation(connection, self.queries)
        return self._live

    def sample(self, generation: int) -> "Sample | None":
        """Return by what the model of a generation is known again. Raises `AnotherGeneration` unless it is live."""
        from rag_pipeline.embeddings.drift import kept_sample

        with self.transaction(generation) as connection:
            row = connection.execute(self.queries["sample"], {"generation": generation}).fetchone()
        if row is None:
            self.look()
            raise AnotherGeneration
        answered_as, numbers = row
        return None if answered_as is None else kept_sample(numbers, answered_as)

    def expect(self, connection: Connection[Any], generation: int) -> None:
        """Raise `AnotherGeneration`, and remember it, unless this one is still live."""
        live = live_generation(connection, self.queries)
        if live.generation != generation:
            self._live = live
            raise AnotherGeneration

    def may_read(self, chunk_ids: Sequence[str], principals: Sequence[str], generation: int) -> bool:
        """Tell whether all of these chunks are there, and a caller may read them. Raises as `transaction` does."""
        asked = {"chunk_ids": list(chunk_ids), "principals": list(principals)}
        with self.transaction(generation) as connection:
            return connection.execute(self.queries["may_read"], asked).fetchone() == (True,)

    def answer_seal(self, principals: Sequence[str]) -> bytes:
        """Return what kept answers of a caller are sealed with; a replica says the same. Raises as `transaction`."""
        with self.transaction() as connection:
            row = connection.execute(self.queries["answer_seal"], {"principals": list(principals)}).fetchone()
        assert row is not None
        return row[0]

    def deployment(self) -> str:
        """Return the name of this database among all that there are; a replica has the same."""
        with self.transaction() as connection:
            row = connection.execute(self.queries["deployment"]).fetchone()
        assert row is not None
        return row[0]

    @contextmanager
    def transaction(self, generation: int | None = None) -> Iterator[Connection[Any]]:
        """Give a session inside one read-only transaction on one snapshot.

        An error that comes of another `generation` having become live meanwhile is `AnotherGeneration`.
        """
        try:
            with self._pool.connection() as connection, connection.transaction():
                yield connection
        except (psycopg.errors.SerializationFailure, psycopg.DataError) as error:
            if generation is not None and self.look().generation != generation:
                raise AnotherGeneration from error
            if isinstance(error, psycopg.errors.SerializationFailure):
                raise TransientError(f"the index could not answer; ask again: {error}") from error
            raise ValueError(f"the filters cannot be used: {error.diag.message_primary or error}") from error
        except (psycopg.errors.UndefinedFunction, psycopg.errors.InvalidSchemaName) as error:
            raise _nothing_indexed() from error
        except psycopg.OperationalError as error:
            what = "stopped answering" if gone(error) else "could not answer"
            raise TransientError(f"the index {what}; ask again: {error}") from error


def asked_anew(ask: Callable[[], _Answer]) -> _Answer:
    """Ask; when another generation became live meanwhile, which then answers nothing, ask that one."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(AnotherGeneration):
            return ask()
    return ask()


def live_generation(connection: Connection[Any], queries: "Mapping[str, LiteralString]") -> Live:
    """Return the generation that the search functions read, as a session sees it."""
    try:
        row = connection.execute(queries["index_state"], {"sources": None}).fetchone()
    except psycopg.errors.UndefinedColumn as error:
        raise ConfigurationError(
            "this index and this rag-pipeline are of different versions; see what to do: rag-pipeline status"
        ) from error
    if row is None:
        raise _nothing_indexed()
    return Live(*row)


def _nothing_indexed() -> ConfigurationError:
    return ConfigurationError("nothing is indexed yet; fill the index with: rag-pipeline refresh")
