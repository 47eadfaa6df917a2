"""The `sql` source: the rows of a query in any Postgres, each a document.

- A listing is one read-only transaction on one snapshot. What travels is each row's id, url, date and access, and
  a hash of its mapped columns that the server computes; texts stay where they are.
- The version token is that hash together with the mapping: columns that are not mapped may change freely.
  What `fetch` returns always has the token that was listed.
- The first documents are fetched one by one, by their ids; then all rows are read once and kept at hand, so
  that a first load is not a query for each row, and an hourly refresh not a transfer of the whole table.
- A row without an id, or with one that is no text or whole number, is a failure of its own.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, LiteralString, cast
from urllib.parse import quote

import psycopg
from psycopg import Connection, sql

from rag_pipeline.database.statements import statements
from rag_pipeline.errors import ConfigurationError, DocumentError, TransientError
from rag_pipeline.model import DocumentRef, Failure, ListingEnd
from rag_pipeline.settings import SqlSettings
from rag_pipeline.sources.media_types import TICKET
from rag_pipeline.sources.postgres import ReadOnlySession, said
from rag_pipeline.sources.records import Spool, instant, loaded, readers, record_id, record_url, ticket_bytes
from rag_pipeline.sources.source import MAX_DOCUMENT_BYTES
from rag_pipeline.sources.ticket import value_at

FETCHED_ONE_BY_ONE = 20
"""Documents that are asked for by their ids before all rows are read."""

_LISTED_AT_ONCE = 1_000
_READ_AT_ONCE = 50


class SqlSource:
    """One SELECT in a database of the user's."""

    def __init__(self, settings: SqlSettings) -> None:
        """Take the settings; nothing is contacted yet."""
        self._settings = settings
        self._setting = f"rag.toml: sources[{settings.name}]"
        mapping = [settings.fields.model_dump(mode="json"), settings.body_type]
        self._mapping = hashlib.sha256(json.dumps(mapping, sort_keys=True).encode()).hexdigest()[:8]
        self._query = sql.SQL(cast("LiteralString", _doubled(settings.query.strip().removesuffix(";"))))
        self._session = ReadOnlySession(settings.url, settings.url_env, self._setting)
        self._columns: tuple[str, ...] = ()
        self._spool: Spool | None = None
        self._fetched = 0

    def check(self) -> None:
        """Raise `ConfigurationError` for a wrong url, query or mapping, `TransientError` when the server is away."""
        with self._session.transaction() as connection:
            self._describe(connection)

    def list(self) -> Iterator[DocumentRef | Failure | ListingEnd]:
        """Yield the rows of one snapshot in the query's order; whatever interrupts it makes the end incomplete."""
        self._forget()
        try:
            with self._session.transaction() as connection, connection.cursor("listing") as cursor:
                cursor.itersize = _LISTED_AT_ONCE
                yield from map(self._document, cursor.execute(self._listing(connection), {}))
        except TransientError as error:
            yield ListingEnd(complete=False, reason=str(error))
            return
        yield ListingEnd(complete=True)

    def fetch(self, ref: DocumentRef) -> bytes:
        """Return a row's ticket in normal form.

        Raises `DocumentError` for a row that is gone, that has changed since it was listed or that does not
        fit the fields, `TransientError` when the database is out of reach.
        """
        record = self._record(ref.document_id)
        if record is None:
            raise DocumentError(f"{ref.document_id!r}: the query no longer returns this row")
        if self._version(hashlib.sha256(record.encode()).hexdigest()) != ref.version:
            raise DocumentError(f"{ref.document_id!r}: changed since it was listed; the next refresh reads it")
        try:
            return ticket_bytes(loaded(record), self._settings)
        except DocumentError as error:
            raise DocumentError(f"{ref.document_id!r}: {error}") from error

    def close(self) -> None:
        """End the session and give back the disk space of what was kept at hand."""
        self._forget()
        self._session.close()

    def _document(self, row: tuple[str, str, int]) -> DocumentRef | Failure:
        text, token, size = row
        fields = self._settings.fields
        try:
            head = loaded(text)
            name = record_id(head, fields)
        except DocumentError as error:
            name = f"./row-{token[:16]}"
            return Failure(name, self._uri(name), f"the row {error}")
        uri, access = record_url(head, fields) or self._uri(name), readers(head, self._settings)
        if size > MAX_DOCUMENT_BYTES:
            reason = f"{size:,} bytes, more than the {MAX_DOCUMENT_BYTES:,} allowed; select less of it"
            return Failure(name, uri, reason, access)
        return DocumentRef(
            document_id=name,
            uri=uri,
            version=self._version(token),
            modified_at=instant(value_at(head, fields.updated_at)) if fields.updated_at else None,
            media_type=TICKET,
            access=access,
        )

    def _record(self, name: str) -> str | None:
        """Return one row as JSON: by its id as long as few were asked for, then from all."""
        if self._spool is None and self._fetched < FETCHED_ONE_BY_ONE and self._settings.fields.id in self._described():
            self._fetched += 1
            try:
                return self._asked(name)
            except TransientError as error:
                if not isinstance(error.__cause__, psycopg.DataError | psycopg.ProgrammingError):
                    raise
                # Such an id can be listed, but the type of its column knows no equality with a text.
                self._fetched = FETCHED_ONE_BY_ONE
        data = self._spooled().get(name)
        return None if data is None else data.decode()

    def _asked(self, name: str) -> str | None:
        """Ask for one row by its id. Raises `TransientError`, also when the server cannot compare the id."""
        with self._session.transaction() as connection:
            one = self._composed("one_row", columns=self._mapped(), id=_identifier(self._settings.fields.id))
            query = self._composed("records", rows=one)
            for (record,) in connection.execute(query, {"id": name, "limit": MAX_DOCUMENT_BYTES}):
                if record_id(loaded(record), self._settings.fields) == name:
                    return record
        return None

    def _spooled(self) -> Spool:
        """Return all rows by their ids, read at the first call."""
        if self._spool is not None:
            return self._spool
        spool = Spool()
        try:
            with self._session.transaction() as connection, connection.cursor("records") as cursor:
                self._describe(connection)
                cursor.itersize = _READ_AT_ONCE
                query = self._composed("records", rows=self._composed("all_rows", columns=self._mapped()))
                for (record,) in cursor.execute(query, {"limit": MAX_DOCUMENT_BYTES}):
                    try:
                        spool.put(record_id(loaded(record), self._settings.fields), record.encode())
                    except DocumentError:
                        continue  # listed as a failure, so it is never fetched
        except BaseException:
            spool.close()
            raise
        self._spool = spool
        return spool

    def _listing(self, connection: Connection[Any]) -> sql.Composed:
        self._describe(connection)
        fields = self._settings.fields
        paths = (fields.id, fields.url, fields.updated_at, fields.access)
        names = dict.fromkeys(_column(path, self._columns) for path in paths if path)
        head = sql.SQL(", ").join(
            sql.SQL("{}, mapped.{}").format(sql.Literal(_doubled(name)), _identifier(name)) for name in names
        )
        return self._composed("listing", head=head, rows=self._composed("all_rows", columns=self._mapped()))

    def _described(self) -> tuple[str, ...]:
        if not self._columns:
            with self._session.transaction() as connection:
                self._describe(connection)
        return self._columns

    def _describe(self, connection: Connection[Any]) -> None:
        """Learn which columns are mapped. Raises `ConfigurationError` when the query or the mapping is wrong."""
        try:
            described = connection.execute(self._composed("columns"), {}).description or []
        except (psycopg.ProgrammingError, psycopg.DataError, psycopg.NotSupportedError) as error:
            raise ConfigurationError(f"{self._setting}.query: Postgres says: {said(error)}") from error
        found = [column.name for column in described]
        fields = self._settings.fields
        paths = {name: path for name, path in fields if isinstance(path, str) and not name.startswith("comment_")}
        paths |= {f"metadata.{name}": path for name, path in fields.metadata.items()}
        columns: dict[str, None] = {}
        for field, path in paths.items():
            column = _column(path, found)
            if column in found:
                columns[column] = None
            elif path and (field in fields.model_fields_set or field == "id" or field.startswith("metadata.")):
                raise ConfigurationError(
                    f"{self._setting}.fields.{field}: the query has no column {column!r}; it has: {', '.join(found)}"
                )
            if found.count(column) > 1:
                raise ConfigurationError(f"{self._setting}.query: two columns are named {column!r}; rename one of them")
        if not any(_column(path, found) in columns for path in (fields.title, fields.body, fields.comments) if path):
            raise ConfigurationError(
                f"{self._setting}.fields: neither title nor body nor comments is mapped to a column of the query; "
                f"it has: {', '.join(found)}"
            )
        self._columns = tuple(columns)

    def _mapped(self) -> sql.Composed:
        return sql.SQL(", ").join(sql.SQL("source.{}").format(_identifier(name)) for name in self._columns)

    def _composed(self, name: str, **parts: sql.Composable) -> sql.Composed:
        return sql.SQL(statements("rows")[name]).format(query=self._query, **parts)

    def _version(self, token: str) -> str:
        return f"{token}-{self._mapping}"

    def _uri(self, name: str) -> str:
        return f"sql:{self._settings.name}#{quote(name)}"

    def _forget(self) -> None:
        self._fetched = 0
        if self._spool is not None:
            self._spool.close()
            self._spool = None


def _column(path: str, columns: Sequence[str]) -> str:
    """Return the column that a path begins in: that of its whole name, else that of its first part."""
    return path if path in columns else path.partition(".")[0]


def _identifier(name: str) -> sql.Identifier:
    return sql.Identifier(_doubled(name))


def _doubled(text: str) -> str:
    """Return a part of a statement with parameters, where a single % would be the beginning of one."""
    return text.replace("%", "%%")
