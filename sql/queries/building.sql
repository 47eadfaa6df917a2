-- name: take_turn
-- One process brings a source of a generation up to date at a time; let go when the session ends, however it ends.
select pg_try_advisory_lock(hashtextextended(format('rag-pipeline build %%s of rag_g%%s', %(source)s::text, %(generation)s::int), 0))

-- name: stands
-- Whether a source is in the generation that is built, and whether it equals the live one there. No row where the
-- live one does not have it.
select coalesce(building.snapshot_id is not null, false) as built,
    coalesce(building.snapshot_id is not null and building.equals_revision = live.revision, false) as equal
from rag.generation_sources as live
left join rag.generation_sources as building on building.source = live.source and building.generation = %(building)s
where live.generation = %(live)s and live.source = %(source)s and live.snapshot_id is not null

-- name: confirm
-- The live generation was confirmed without a change: so is its equal.
update rag.generation_sources as building
set snapshot_id = live.snapshot_id, confirmed_id = live.confirmed_id, failure = null, failed_at = null
from rag.generation_sources as live
where live.generation = %(live)s and live.source = %(source)s
  and building.generation = %(building)s and building.source = live.source
  and building.equals_revision = live.revision
  and (building.snapshot_id, building.confirmed_id, building.failure)
      is distinct from (live.snapshot_id, live.confirmed_id, null)

-- name: live_state
-- The state that the documents are in which are read next.
select revision, snapshot_id from rag.generation_sources where generation = %(live)s and source = %(source)s

-- name: published_documents
-- What the live generation has published, as a listing with its hashes.
select documents.document_id, documents.uri, documents.version, documents.modified_at, documents.size,
    documents.media_type, access_lists.allow, access_lists.deny, documents.metadata::text as metadata,
    null::text as failure, documents.document_hash, documents.content_hash, documents.declared_access
from documents
join rag.access_lists using (acl_id)
where documents.source = %(source)s
order by documents.document_hash

-- name: note_totals
-- How many chunks a source makes, and how many texts are to be embedded for them.
insert into rag.generation_sources as known (generation, source, chunks, texts, begun_at)
values (%(generation)s, %(source)s, %(chunks)s, %(texts)s, now())
on conflict (generation, source) do update
set chunks = excluded.chunks, texts = excluded.texts, begun_at = excluded.begun_at

-- name: note_failure
-- Why a source could not be brought up to date; forgotten when it is.
insert into rag.generation_sources as known (generation, source, failure, failed_at)
values (%(generation)s, %(source)s, %(failure)s, now())
on conflict (generation, source) do update set failure = excluded.failure, failed_at = excluded.failed_at
