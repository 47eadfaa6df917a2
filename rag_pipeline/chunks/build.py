"""Stage 4, `chunks`: parse what is new, cut it, and quarantine what cannot be understood.

Only documents whose content matters now are read from the blob store; a move, a metadata change or an
access change passes through untouched.
"""

from collections.abc import Callable, Iterator
from typing import Any

from rag_pipeline.chunks import split
from rag_pipeline.chunks.shingles import shingles
from rag_pipeline.documents.isolation import Job, Parsers
from rag_pipeline.errors import DocumentError
from rag_pipeline.handover import CHUNKS, DOCUMENTS, SECTIONS, Changes, Chunked
from rag_pipeline.model import Access, Document, Section
from rag_pipeline.parquet import ParquetWriter, read_rows
from rag_pipeline.progress import Progress
from rag_pipeline.storable import storable, storable_json
from rag_pipeline.workspace import LostBytes, Workspace

CONTENT_CATEGORIES = ("added", "changed", "restored")
_PROGRESS_EVERY = 50


def build_chunks(
    workspace: Workspace,
    changes: Changes,
    parsers: Parsers,
    count_tokens: Callable[[list[str]], list[int]],
    max_tokens: int,
    window_tokens: int,
    progress: Progress,
    max_chunks: int | None = None,
) -> Chunked:
    """Write ``documents.parquet``, ``sections.parquet`` and ``chunks.parquet`` for the changed documents.

    A document that cannot be parsed, or makes more than `max_chunks`, leaves as quarantined, with the reason; what is
    published of it stays.
    """
    folder = changes.hashes.snapshot.folder
    total = changes.added + changes.changed + changes.restored
    done = sections = chunks = forced = largest = failures = 0
    parsed = dict.fromkeys(CONTENT_CATEGORIES, 0)
    with (
        ParquetWriter(workspace.file(folder, "documents.parquet"), DOCUMENTS) as document_writer,
        ParquetWriter(workspace.file(folder, "sections.parquet"), SECTIONS) as section_writer,
        ParquetWriter(workspace.file(folder, "chunks.parquet"), CHUNKS) as chunk_writer,
    ):

        def jobs() -> Iterator[Job]:
            """Give the documents to parse; what needs no parsing passes by."""
            for row in read_rows(workspace.file(folder, "changes.parquet")):
                row |= dict.fromkeys(("digest", "title", "front_matter", "section_ids", "section_starts", "places"))
                if row["allow"] is not None:
                    row["digest"] = Access(tuple(row["allow"]), tuple(row["deny"])).digest
                if row["category"] in CONTENT_CATEGORIES:
                    yield Job(row, _bytes(workspace, row["content_hash"]), row["media_type"], row["document_id"])
                else:
                    document_writer.write(row)

        for job, document in parsers.parse_each(jobs()):
            row: dict[str, Any] = job.payload
            cut: list[Section] = []
            if not isinstance(document, DocumentError):
                cut = split(document, count_tokens, max_tokens, window_tokens)
                many = sum(len(section.chunks) for section in cut)
                if max_chunks is not None and many > max_chunks:
                    document = DocumentError(
                        f"makes {many:,} chunks; exclude it, divide it, or raise [parsing] max_chunks"
                    )
            if isinstance(document, DocumentError):
                row |= {"category": "quarantined", "failure": storable(str(document))}
                if isinstance(document, LostBytes):
                    row["content_hash"] = None
                failures += 1
            else:
                _write(row, document, cut, section_writer, chunk_writer)
                parsed[row["category"]] += 1
                sections += len(cut)
                for section in cut:
                    chunks += len(section.chunks)
                    forced += sum(chunk.forced for chunk in section.chunks)
                    largest = max(largest, *(chunk.tokens for chunk in section.chunks), 0)
            document_writer.write(row)
            done += 1
            if done % _PROGRESS_EVERY == 0:
                progress("chunks", done, total)
    progress("chunks", done, done)
    return Chunked(
        changes=changes,
        failures=failures,
        sections=sections,
        chunks=chunks,
        forced=forced,
        largest=largest,
        **parsed,
    )


def _bytes(workspace: Workspace, content_hash: bytes) -> bytes | DocumentError:
    try:
        return workspace.get_blob(content_hash)
    except LostBytes as error:
        return error


def _write(
    row: dict[str, Any], document: Document, cut: list[Section], sections: ParquetWriter, chunks: ParquetWriter
) -> None:
    """Lay one document out in rows; its own row learns its title and where its sections start."""
    row |= {
        "title": document.title,
        "front_matter": storable_json(document.metadata),
        "section_ids": [section.key for section in cut],
        "section_starts": [section.start for section in cut],
        "places": storable_json(
            {chunk.key.hex(): place for section in cut for chunk in section.chunks if (place := chunk.place.as_json())}
        ),
    }
    for section in cut:
        here = {"document_hash": row["document_hash"], "section_id": section.key}
        sections.write(
            here | {"heading_path": section.heading_path, "occurrence": section.occurrence, "text": section.text}
        )
        for chunk in section.chunks:
            chunks.write(
                here
                | {
                    "local_id": chunk.key,
                    "text": chunk.text,
                    "start_offset": chunk.start,
                    "end_offset": chunk.end,
                    "tokens": chunk.tokens,
                    "forced": chunk.forced,
                    "embed_hash": chunk.embed_hash,
                    "shingles": shingles(chunk.text),
                    "embed_text": chunk.embed_text,
                }
            )
