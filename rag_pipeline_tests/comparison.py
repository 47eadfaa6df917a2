"""What two indexes that say the same have in common: every published row by its natural keys.

Surrogate keys, snapshot numbers and version tokens of the listing depend on history and are left out;
everything that a reader or an analyst can see is in.
"""

import time
from typing import Any

from psycopg import Connection

DOCUMENTS = """
    select source, document_id, document_hash, uri, title, media_type, modified_at, size, content_hash,
        declared_access, allow, deny, metadata::text, front_matter::text, language, section_ids, section_starts,
        places::text
    from documents join rag.access_lists using (acl_id, source)
"""
SECTIONS = """
    select source, document_id, section_id, heading_path, occurrence, text
    from sections join documents using (doc_key)
"""
CHUNKS = """
    select documents.source, document_id, local_id, section_id, chunks.text, start_offset, end_offset, tokens, forced,
        embed_hash, shingles, allow, deny, embedding::text, chunk_vectors.acl_id = chunks.acl_id,
        chunk_terms.language, chunk_terms.length, chunk_terms.places, chunk_terms.weights::text,
        chunk_terms.acl_id = chunks.acl_id
    from chunks
    join documents using (doc_key)
    join sections using (doc_key, section_id)
    join rag.access_lists on access_lists.acl_id = chunks.acl_id
    left join chunk_vectors using (chunk_key)
    left join chunk_terms using (chunk_key)
"""
# What the triggers keep must be what counting anew gives.
LEXICON = """
    select * from lexicon
    full join (select unnest(places) as place, count(*) as counted from chunk_terms group by 1) as found using (place)
    where df is distinct from counted
"""
SIZES = """
    select * from acl_sizes
    full join (select acl_id, language, count(*) as counted from chunk_terms group by 1, 2) as found
        using (acl_id, language)
    where chunks is distinct from counted
"""
STATE = """
    select chunks = count(found.length), keyword_state.length = coalesce(sum(found.length), 0),
        average = rag.average_in_force(count(found.length), coalesce(sum(found.length), 0))
    from keyword_state left join (select length from chunk_terms) as found on true
    where (select count(*) from chunk_terms) > 0
    group by keyword_state.only_row
"""
WRITTEN = """
    select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)
    from pg_stat_user_tables where schemaname like 'rag\\_g%'
"""
QUARANTINE = "select source, document_id, reason from rag.quarantine where generation = coalesce(%s, generation)"


def published_rows(connection: Connection[Any], generation: int | None = None) -> dict[str, list[Any]]:
    """Return the published rows, sorted, on a connection whose tables are those of one generation.

    Of a quarantined document the last good version stays, which a rebuild cannot know: only that it is
    quarantined is compared.
    """
    assert connection.execute(LEXICON).fetchall() == []
    assert connection.execute(SIZES).fetchall() == []
    assert connection.execute(STATE).fetchone() in ((True, True, True), None)
    found = {
        "documents": connection.execute(DOCUMENTS).fetchall(),
        "sections": connection.execute(SECTIONS).fetchall(),
        "chunks": connection.execute(CHUNKS).fetchall(),
    }
    quarantine = connection.execute(QUARANTINE, [generation]).fetchall()
    unreadable = {row[:2] for row in quarantine}
    return {"quarantine": sorted(quarantine)} | {
        name: sorted((row for row in rows if row[:2] not in unreadable), key=repr) for name, rows in found.items()
    }


def index_rows_written(connection: Connection[Any]) -> int:
    """Return how many rows of the index were ever inserted, updated or deleted, by Postgres' own count."""
    # A backend reports its counts when it leaves; `connection` must be the only one that stays.
    others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    deadline = time.monotonic() + 240
    while connection.execute(others).fetchone() != (0,) and time.monotonic() < deadline:
        time.sleep(0.005)
    row = connection.execute(WRITTEN).fetchone()
    assert row
    return int(row[0])
