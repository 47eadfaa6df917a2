-- A publication as a whole: that nobody else publishes meanwhile, what must never be published, and what is recorded of it.
-- What it writes is in publish_access.sql, publish_rows.sql and publish_terms.sql.

-- name: lock_source
-- One publisher a source at a time; released by commit or rollback.
select pg_advisory_xact_lock(hashtextextended('rag-pipeline publish ' || %(source)s, 0))

-- name: enter_source
-- A source is in a generation from its first publication there on.
insert into rag.generation_sources (generation, source) values (%(generation)s, %(source)s) on conflict do nothing

-- name: current_revision
-- The state that the source is in now, in this generation; compared with the one the refresh was computed from.
select revision from rag.generation_sources where generation = %(generation)s and source = %(source)s for update

-- name: clear_quarantine
-- Documents that can be read again, and those that a complete listing no longer has.
delete from rag.quarantine
where generation = %(generation)s and source = %(source)s and document_hash = any (%(released)s)
  and not exists (
      select from staged_documents
      where staged_documents.document_hash = quarantine.document_hash and staged_documents.category = 'quarantined'
  )

-- name: add_quarantine
-- What could not be read, with the access of its listing; counted again only when it was tried again.
insert into rag.quarantine as known (
    generation, document_hash, source, document_id, uri, reason, content_hash, parser_version, acl_id, refused_by
)
select %(generation)s, document_hash, %(source)s, document_id, uri, failure, content_hash, %(parser_version)s, acl_id,
    refused_by
from staged_documents
where category = 'quarantined'
on conflict (generation, document_hash) do update
set reason = excluded.reason, content_hash = excluded.content_hash, parser_version = excluded.parser_version,
    acl_id = excluded.acl_id, uri = excluded.uri, last_seen = now(), attempts = known.attempts + 1,
    refused_by = coalesce(
        excluded.refused_by, case when known.content_hash = excluded.content_hash then known.refused_by end
    )
where (known.reason, known.content_hash, known.parser_version, known.acl_id)
        is distinct from (excluded.reason, excluded.content_hash, excluded.parser_version, excluded.acl_id)
   or excluded.content_hash is null

-- name: use_approvals
-- An approval holds for one refresh.
update rag.approvals set used_at = now() where approval_id = any (%(approvals)s)

-- name: violations
-- What must never be published, counted in one pass over the documents that this refresh touches.
with touched as (select distinct doc_key from staged_documents where category <> 'removed' and doc_key is not null),
counted as (
    select
        count(*) filter (where chunk_vectors.chunk_key is null) as without_vector,
        count(*) filter (where chunk_terms.chunk_key is null) as without_terms,
        count(*) filter (where chunks.acl_id <> documents.acl_id or chunk_vectors.acl_id <> chunks.acl_id
            or chunk_terms.acl_id <> chunks.acl_id) as other_access,
        count(*) filter (where chunks.end_offset > length(sections.text)) as outside_section,
        count(*) filter (where not chunks.forced and chunks.tokens > (
            select (generations.recipe ->> 'max_tokens')::int
            from rag.generations
            where generations.generation = %(generation)s
        )) as above_budget
    from touched
    join documents using (doc_key)
    join chunks using (doc_key)
    join sections using (doc_key, section_id)
    left join chunk_vectors using (chunk_key)
    left join chunk_terms using (chunk_key)
),
compared as (
    select
        (select count(*) from staged_documents join documents using (doc_key)
         where staged_documents.category = 'removed') as still_there,
        abs((select count(*) from staged_chunks) - (
            select count(*) from chunks join staged_documents using (doc_key)
            where staged_documents.category in ('added', 'changed', 'restored')
        )) as other_number
)
select violation, times
from counted
cross join compared
cross join lateral (values
    ('chunks without a vector', without_vector),
    ('chunks without terms', without_terms),
    ('chunks, vectors or terms of another access than their document', other_access),
    ('chunks outside their section', outside_section),
    ('chunks above the budget of the recipe', above_budget),
    ('removed documents that are still there', still_there),
    ('chunks more or fewer than were staged', other_number)
) as found (violation, times)

-- name: bump_revision
-- The source is in a new state; returns its number.
update rag.generation_sources set revision = revision + 1
where generation = %(generation)s and source = %(source)s
returning revision

-- name: stand_at
-- Which snapshot this is, since when that is confirmed, and which state of the live generation it equals, if it follows.
update rag.generation_sources set
    snapshot_id = %(snapshot_id)s,
    confirmed_id = coalesce(%(confirmed_id)s, confirmed_id),
    equals_revision = %(equals_revision)s,
    failure = null,
    failed_at = null
where generation = %(generation)s and source = %(source)s

-- name: keep_manifest
-- The snapshot can be republished from this folder.
update rag.snapshots set manifest = %(manifest)s where snapshot_id = %(snapshot_id)s

-- name: same_manifest
-- Nothing changed: the snapshot is the one before, so that one folder serves both.
update rag.snapshots set manifest = (
    select earlier.manifest from rag.snapshots as earlier
    join rag.refreshes using (snapshot_id)
    where earlier.source = %(source)s and refreshes.generation = %(generation)s and earlier.manifest is not null
    order by earlier.snapshot_id desc
    limit 1
)
where snapshot_id = %(snapshot_id)s

-- name: add_refresh
-- The history of what was published; also the proof that a quiet source was looked at.
insert into rag.refreshes (
    source, generation, snapshot_id, run_id, revision, complete, listed, added, changed, moved, access_changed,
    metadata_changed, removed, restored, unchanged, withheld, quarantined, documents_written, documents_deleted,
    chunks_written, chunks_deleted, texts_embedded, tokens, cost_usd, seconds
) values (
    %(source)s, %(generation)s, %(snapshot_id)s, %(run_id)s, %(revision)s, %(complete)s, %(listed)s, %(added)s,
    %(changed)s, %(moved)s, %(access_changed)s, %(metadata_changed)s, %(removed)s, %(restored)s, %(unchanged)s,
    %(withheld)s, %(quarantined)s, %(documents_written)s, %(documents_deleted)s, %(chunks_written)s,
    %(chunks_deleted)s, %(texts_embedded)s, %(tokens)s, %(cost_usd)s, %(seconds)s
)
returning refresh_id
