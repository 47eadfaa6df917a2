"""A session of the pipeline on the index, for the verbs that read or write its control tables."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg import Connection

    from rag_pipeline.settings import Settings


@contextmanager
def prepared_session(settings: "Settings") -> "Iterator[Connection[dict[str, Any]]]":
    """Give a session, with rows as dictionaries, on a database that is prepared but may hold no generation yet."""
    from psycopg.rows import dict_row

    from rag_pipeline.database.connection import connect
    from rag_pipeline.database.migrate import prepare

    prepare(settings)
    with connect(settings) as connection:
        connection.row_factory = dict_row
        yield connection
