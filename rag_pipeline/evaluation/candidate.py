"""A search of what is not published yet, by the functions that readers call and in the session that is to publish it.

The functions see what their own transaction has written. They read one generation, which is the live one; of another
a second set of them is made in a schema that nobody else ever sees, because it goes away with the transaction.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, LiteralString, cast

from psycopg import Connection

from rag_pipeline.database.objects import as_owner, generation_search_path, read_objects
from rag_pipeline.database.statements import sql_folder, statements
from rag_pipeline.embeddings import Embedder, Vector
from rag_pipeline.embeddings.prefixed import embed_questions
from rag_pipeline.evaluation.golden import Question
from rag_pipeline.query import Index
from rag_pipeline.query.models import Live
from rag_pipeline.settings import Settings

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

_NAME = re.compile(r"\brag\.(?P<name>\w+)")
_TRIAL = "rag_trial"
_GENERATIONS = "generations"


class QuestionVectors:
    """The vectors of some questions, so that no model is asked while others wait for a transaction to end."""

    def __init__(self, embedder: Embedder, questions: Iterable[Question]) -> None:
        """Embed the questions that expect something to be found. Raises what the model does."""
        texts = list(dict.fromkeys(question.text for question in questions if question.expected))
        self._vectors = dict(zip(texts, embed_questions(embedder, texts), strict=True))

    def of(self, live: Live, sample: object) -> "QuestionVectors":
        """Stand in for the model of the generation that is asked."""
        return self

    def embed_query(self, text: str) -> Vector:
        """Return the vector of a question."""
        return self._vectors[text]


class _OneSession:
    """A pool of one session, which is in the middle of its transaction."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection

    @contextmanager
    def connection(self) -> Iterator[Connection[Any]]:
        yield self._connection


def candidate(
    connection: Connection[Any],
    settings: Settings,
    vectors: QuestionVectors,
    queries: Mapping[str, LiteralString] | None = None,
) -> Index:
    """Return an index of what the session sees; `queries` call the functions of a trial."""
    pool = cast("ConnectionPool[Connection[Any]]", _OneSession(connection))
    return Index(pool, settings, vectors, queries)


@contextmanager
def trial(connection: Connection[Any], live: int, generation: int) -> Iterator[Mapping[str, LiteralString]]:
    """Give the statements of a search in a generation as if it were live, inside the caller's transaction.

    Readers go on in the live one, by functions that nobody touches; nothing of it stays afterwards.
    """
    files = read_objects(sql_folder())
    names = {_GENERATIONS, *(name for file in files for name in file.routines + file.views)}
    # Of this session alone, so that no other trial waits for the end of this one.
    schema = f"{_TRIAL}_{connection.info.backend_pid}"

    def renamed(text: str) -> LiteralString:
        found = _NAME.sub(lambda match: f"{schema}.{match['name']}" if match["name"] in names else match[0], text)
        return cast("LiteralString", found)

    queries = {name: text.replace(_TRIAL, schema) for name, text in statements("evaluation").items()}
    with connection.transaction(force_rollback=True):
        with as_owner(connection, generation_search_path(connection, generation), alone=False):
            for name in ("create_trial", "open_trial", "create_generations"):
                connection.execute(cast("LiteralString", queries[name]))
            values = {"live": live, "generation": generation}
            connection.execute(cast("LiteralString", queries["try_generations"]), values)
            for file in files:
                connection.execute(renamed(file.text).encode())
        yield {name: renamed(text) for name, text in statements("search").items()}
