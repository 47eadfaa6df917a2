"""The `tickets` source: the records of exported files, each a document of its own.

- An id is what the records' own field says, so that a record may move to another file; a uri is the record's
  own address, or that of the file with the id behind ``#``.
- The version token is the hash of the record's normal form, so that a new export of unchanged tickets costs
  nothing. What `fetch` returns always has the token that was listed.
- A record that does not fit the fields is a failure. A file, line or record that cannot even be named makes
  the listing incomplete, for nobody can say which documents it stood for.
- An ``.access.toml`` narrows the access of every record of the files in and below its folder; one that cannot
  be understood admits nobody, and is a failure.
- Symbolic links are not followed; only the configured path itself may be one.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rag_pipeline.errors import ConfigurationError, DocumentError, TransientError
from rag_pipeline.model import NOBODY, DocumentRef, Failure, ListingEnd
from rag_pipeline.settings import TicketsSettings
from rag_pipeline.sources.export_files import ExportFile, export_files
from rag_pipeline.sources.exports import ENDINGS, is_export, read_export
from rag_pipeline.sources.globs import PathFilter
from rag_pipeline.sources.listing import Problems, escaped_id, is_storable
from rag_pipeline.sources.media_types import TICKET
from rag_pipeline.sources.records import Spool, instant, readers, record_id, record_url, ticket_bytes
from rag_pipeline.sources.ticket import value_at
from rag_pipeline.storable import storable


class TicketsSource:
    """A file of records, or a folder of such files."""

    def __init__(self, settings: TicketsSettings, folder: Path) -> None:
        """Take the settings; a relative path starts at `folder`. Raises `ConfigurationError` for a wrong glob."""
        self._settings = settings
        self._setting = f"sources[{settings.name}]"
        self._path = Path(os.path.abspath(folder / settings.path))
        self._filter = PathFilter.of(settings.include, settings.exclude, self._setting)
        self._spool: Spool | None = None
        self._missing: str | None = None

    def check(self) -> None:
        """Raise `ConfigurationError` when the path cannot be read, or when the first record does not fit the fields."""
        if self._path.is_file() and not is_export(self._path.name):
            raise ConfigurationError(
                f"rag.toml: {self._setting}.path: {self._path} is no export; name one that ends in {', '.join(ENDINGS)}"
            )
        problems = Problems()
        try:
            record = next((record for _, _, record in self._records(problems, {})), None)
        except OSError as error:
            raise ConfigurationError(
                f"rag.toml: {self._setting}.path: {self._path}: {error.strerror}; "
                "name a file or folder that exists and that this user may read"
            ) from error
        if record is None:
            return
        try:
            record_id(record, self._settings.fields)
            ticket_bytes(record, self._settings)
        except DocumentError as error:
            raise ConfigurationError(f"rag.toml: {self._setting}.fields: the first record {error}") from error

    def list(self) -> Iterator[DocumentRef | Failure | ListingEnd]:
        """Yield the records file by file, in the files' own order."""
        self._forget()
        problems = Problems()
        unreadable: dict[str, str] = {}
        try:
            for file, place, record in self._records(problems, unreadable):
                try:
                    yield self._document(record_id(record, self._settings.fields), file, record)
                except DocumentError as error:
                    problems.add(f"{file.path!r}: {place} {error}")
        except OSError as error:
            problems.add(f"{self._path}: {error.strerror}")
        for path, reason in unreadable.items():
            yield Failure(path if is_storable(path) else escaped_id(path), self._uri(path), reason, NOBODY)
        yield problems.end()

    def fetch(self, ref: DocumentRef) -> bytes:
        """Return a ticket in normal form. The first call reads the files once more and keeps them at hand.

        Raises `DocumentError` for a record that is gone or has changed since it was listed, `TransientError`
        when the files themselves are out of reach.
        """
        data = self._spooled().get(ref.document_id)
        if data is None:
            reason = f"; not everything could be read: {self._missing}" if self._missing else ""
            raise DocumentError(f"{ref.document_id!r}: is no longer in {self._path}{reason}")
        if _version(data) != ref.version:
            raise DocumentError(f"{ref.document_id!r}: changed since it was listed; the next refresh reads it")
        return data

    def close(self) -> None:
        """Give back the disk space of what was kept at hand."""
        self._forget()

    def _document(self, name: str, file: ExportFile, record: Mapping[str, Any]) -> DocumentRef | Failure:
        fields = self._settings.fields
        uri = record_url(record, fields) or f"{self._uri(file.path)}#{quote(name, errors='replace')}"
        access = readers(record, self._settings).narrowed(file.bound)
        if storable(name) != name:
            return Failure(storable(name), uri, "its id holds characters that a database cannot store", access)
        try:
            ticket = ticket_bytes(record, self._settings)
        except DocumentError as error:
            return Failure(name, uri, str(error), access)
        return DocumentRef(
            document_id=name,
            uri=uri,
            version=_version(ticket),
            modified_at=instant(value_at(record, fields.updated_at)) if fields.updated_at else None,
            size=len(ticket),
            media_type=TICKET,
            access=access,
        )

    def _records(
        self, problems: Problems, unreadable: dict[str, str]
    ) -> Iterator[tuple[ExportFile, str, Mapping[str, Any]]]:
        """Yield each record with its file and its place in it. Raises `OSError` when the path cannot be opened."""
        for file in export_files(self._path, self._filter, problems, unreadable):
            found = read_export(file.folder, file.name, repr(file.path), self._settings.records, problems)
            for place, record in found:
                yield file, place, record

    def _spooled(self) -> Spool:
        """Return all records by their ids, read at the first call."""
        if self._spool is not None:
            return self._spool
        problems = Problems()
        spool = Spool()
        try:
            for file, place, record in self._records(problems, {}):
                try:
                    spool.put(record_id(record, self._settings.fields), ticket_bytes(record, self._settings))
                except DocumentError as error:
                    problems.add(f"{file.path!r}: {place} {error}")
        except OSError as error:
            spool.close()
            raise TransientError(f"{self._path}: {error.strerror}; is the file system mounted?") from error
        self._spool, self._missing = spool, problems.end().reason
        return spool

    def _forget(self) -> None:
        if self._spool is not None:
            self._spool.close()
            self._spool = None

    def _uri(self, path: str) -> str:
        return ((self._path if self._path.is_dir() else self._path.parent) / path).as_uri()


def _version(ticket: bytes) -> str:
    return hashlib.sha256(ticket).hexdigest()
