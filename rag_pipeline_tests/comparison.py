"""What two indexes that say the same have in common: every published row by its natural keys.

Surrogate keys, snapshot numbers and version tokens of the listing depend on history and are left out;
everything that a reader or an analyst can see is in.
"""

from typing import Any

from psycopg import Connection

DOCUMENTS = """
    select source, document_id, document_hash, uri, title, media_type, modified_at, size, content_hash,
        declared_access, allow, deny, metadata::text, front_matter::text, section_ids, section_starts
    from documents join rag.access_lists using (acl_id, source)
"""
SECTIONS = """
    select source, document_id, section_id, heading_path, occurrence, text
    from sections join documents using (doc_key)
"""
CHUNKS = """
    select documents.source, document_id, local_id, section_id, chunks.text, start_offset, end_offset, tokens, forced,
        embed_hash, allow, deny, embedding::text, chunk_vectors.acl_id = chunks.acl_id
    from chunks
    join documents using (doc_key)
    join sections using (section_key)
    join rag.access_lists on access_lists.acl_id = chunks.acl_id
    left join chunk_vectors using (chunk_key)
"""
QUARANTINE = "select source, document_id, reason, content_hash from rag.quarantine"


def published_rows(connection: Connection[Any], with_quarantine: bool = False) -> dict[str, list[Any]]:
    """Return all published rows, sorted, on a connection whose tables are those of one generation."""
    queries = {"documents": DOCUMENTS, "sections": SECTIONS, "chunks": CHUNKS}
    if with_quarantine:
        queries["quarantine"] = QUARANTINE
    return {
        name: sorted(connection.execute(query).fetchall(), key=repr)  # pyright: ignore[reportArgumentType]
        for name, query in queries.items()
    }


def index_rows_written(connection: Connection[Any]) -> int:
    """Return how many rows of the index were ever inserted, updated or deleted, by Postgres' own count."""
    connection.execute("select pg_stat_force_next_flush()")
    row = connection.execute(
        "select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) from pg_stat_user_tables where schemaname like 'rag\\_g%'"
    ).fetchone()
    assert row
    return int(row[0])
