-- name: lock_source
-- One publisher a source at a time; released by commit or rollback.
select pg_advisory_xact_lock(hashtextextended('rag-pipeline publish ' || %(source)s, 0))

-- name: enter_source
-- A source is in a generation from its first publication there on.
insert into rag.generation_sources (generation, source) values (%(generation)s, %(source)s) on conflict do nothing

-- name: current_revision
-- The state that the source is in now, in this generation; compared with the one the refresh was computed from.
select revision from rag.generation_sources where generation = %(generation)s and source = %(source)s for update

-- name: bury_removed
-- A lost document is remembered, so that its return costs nothing.
insert into rag.tombstones (document_hash, source, document_id, uri, media_type, content_hash, snapshot_id)
select documents.document_hash, documents.source, documents.document_id, documents.uri, documents.media_type,
    documents.content_hash, %(snapshot_id)s
from documents
join staged_documents using (doc_key)
where staged_documents.category = 'removed'
on conflict (document_hash) do update
set content_hash = excluded.content_hash, snapshot_id = excluded.snapshot_id, removed_at = excluded.removed_at

-- name: delete_removed_vectors
-- Children first: the foreign keys are the last guard against orphans.
delete from chunk_vectors using chunks, staged_documents
where chunk_vectors.chunk_key = chunks.chunk_key
  and chunks.doc_key = staged_documents.doc_key and staged_documents.category = 'removed'

-- name: delete_removed_chunks
-- The chunks of lost documents.
delete from chunks using staged_documents
where chunks.doc_key = staged_documents.doc_key and staged_documents.category = 'removed'

-- name: delete_removed_sections
-- The sections of lost documents.
delete from sections using staged_documents
where sections.doc_key = staged_documents.doc_key and staged_documents.category = 'removed'

-- name: delete_removed_documents
-- The lost documents themselves.
delete from documents using staged_documents
where documents.doc_key = staged_documents.doc_key and staged_documents.category = 'removed'

-- name: find_whole_lists
-- When every document of a list gets the same new list, which nobody has yet, the list itself can change: one row
-- instead of every chunk below it. Lists belong to one source, and its publisher holds the lock.
create temp table whole_lists on commit drop as
with wanted as (
    select documents.acl_id, min(staged_documents.digest) as digest, count(*) as documents
    from staged_documents
    join documents using (doc_key)
    group by documents.acl_id
    having count(distinct staged_documents.digest) = 1 and count(*) = count(staged_documents.digest)
)
select distinct on (wanted.digest) wanted.acl_id, wanted.digest
from wanted
join rag.access_lists using (acl_id)
where access_lists.digest <> wanted.digest
  and wanted.documents = (select count(*) from documents where documents.acl_id = wanted.acl_id)
  and not exists (
      select from rag.access_lists as taken
      where taken.source = access_lists.source and taken.digest = wanted.digest
  )
  and not exists (select from rag.quarantine where quarantine.acl_id = wanted.acl_id)
order by wanted.digest, wanted.acl_id

-- name: keep_lists
-- Asked of every other generation: a list that has a document there which does not get the same new list stays, or the
-- document would be open to others than it was. Also one that says something else there: who may read what it says now
-- need not have been allowed to read that.
delete from whole_lists
where exists (
    select from documents
    left join staged_documents on staged_documents.document_hash = documents.document_hash
    where documents.acl_id = whole_lists.acl_id
      and (staged_documents.digest, staged_documents.content_hash) is distinct from (whole_lists.digest, documents.content_hash)
)

-- name: change_shared_lists
-- The lists of which that is true in every generation.
update rag.access_lists
set allow = staged.allow, deny = staged.deny, digest = staged.digest
from whole_lists
cross join lateral (
    select allow, deny, digest from staged_documents where staged_documents.digest = whole_lists.digest limit 1
) as staged
where access_lists.acl_id = whole_lists.acl_id

-- name: intern_access_lists
-- Each distinct access list is kept once a source.
insert into rag.access_lists (source, allow, deny, digest)
select distinct on (digest) %(source)s, allow, deny, digest
from staged_documents
where digest is not null and not exists (
    select from rag.access_lists
    where access_lists.source = %(source)s and access_lists.digest = staged_documents.digest
)

-- name: resolve_access_lists
-- From here on a list is one integer.
update staged_documents set acl_id = access_lists.acl_id
from rag.access_lists
where access_lists.source = %(source)s and access_lists.digest = staged_documents.digest

-- name: settle_languages
-- The language that a document's words are read in: as it declares, else as the recipe says.
update staged_documents as staged
set language = rag.language(coalesce(found.front_matter, '{}') || staged.metadata, %(language)s)
from (
    select staged_documents.document_hash, coalesce(staged_documents.front_matter, documents.front_matter) as front_matter
    from staged_documents
    left join documents using (doc_key)
) as found
where staged.document_hash = found.document_hash and staged.metadata is not null

-- name: update_documents
-- Known documents take what is new about them; what a category does not carry stays as it is.
-- Of a document that cannot be read only the access follows its source.
update documents set
    document_hash = staged.document_hash,
    document_id = staged.document_id,
    uri = staged.uri,
    title = coalesce(staged.title, documents.title),
    media_type = staged.media_type,
    version = staged.version,
    modified_at = staged.modified_at,
    size = staged.size,
    content_hash = staged.content_hash,
    declared_access = staged.declared_access,
    acl_id = staged.acl_id,
    metadata = staged.metadata,
    front_matter = coalesce(staged.front_matter, documents.front_matter),
    language = staged.language,
    section_ids = coalesce(staged.section_ids, documents.section_ids),
    section_starts = coalesce(staged.section_starts, documents.section_starts),
    places = coalesce(staged.places, documents.places),
    snapshot_id = case
        when documents.content_hash = staged.content_hash then documents.snapshot_id else %(snapshot_id)s
    end
from staged_documents as staged
where documents.doc_key = staged.doc_key
  and staged.category in ('changed', 'moved', 'access_changed', 'metadata_changed', 'restamped')
  and (
      documents.document_hash, documents.document_id, documents.uri, documents.title, documents.media_type,
      documents.version, documents.modified_at, documents.size, documents.content_hash, documents.declared_access,
      documents.acl_id, documents.metadata, documents.front_matter, documents.language, documents.section_ids,
      documents.section_starts, documents.places
  ) is distinct from (
      staged.document_hash, staged.document_id, staged.uri, coalesce(staged.title, documents.title),
      staged.media_type, staged.version, staged.modified_at, staged.size, staged.content_hash,
      staged.declared_access, staged.acl_id, staged.metadata, coalesce(staged.front_matter, documents.front_matter),
      staged.language, coalesce(staged.section_ids, documents.section_ids), coalesce(staged.section_starts, documents.section_starts),
      coalesce(staged.places, documents.places)
  )

-- name: update_quarantined_access
-- The last good version of an unreadable document stays, under the access that its source gives now.
update documents set acl_id = staged.acl_id
from staged_documents as staged
where documents.doc_key = staged.doc_key and staged.category = 'quarantined'
  and staged.acl_id is not null and documents.acl_id <> staged.acl_id

-- name: insert_documents
-- New and restored documents.
insert into documents (
    document_hash, source, document_id, uri, title, media_type, version, modified_at, size, content_hash,
    declared_access, acl_id, metadata, front_matter, language, section_ids, section_starts, places,
    snapshot_id
)
select document_hash, %(source)s, document_id, uri, title, media_type, version, modified_at, size, content_hash,
    declared_access, acl_id, metadata, front_matter, language, section_ids, section_starts, places, %(snapshot_id)s
from staged_documents
where category in ('added', 'restored')

-- name: find_inserted
-- New documents now have a key, like the known ones.
update staged_documents set doc_key = documents.doc_key
from documents
where staged_documents.category in ('added', 'restored')
  and documents.document_hash = staged_documents.document_hash

-- name: forget_tombstones
-- What is here again is no longer lost.
delete from rag.tombstones using staged_documents
where tombstones.document_hash = staged_documents.document_hash
  and staged_documents.category in ('added', 'restored', 'changed', 'moved')

-- name: delete_stale_vectors
-- Vectors of chunks that the new version of their document does not have.
delete from chunk_vectors using chunks, staged_documents as staged
where chunk_vectors.chunk_key = chunks.chunk_key and chunks.doc_key = staged.doc_key
  and staged.category = 'changed'
  and not exists (
      select from staged_chunks
      where staged_chunks.document_hash = staged.document_hash and staged_chunks.local_id = chunks.local_id
  )

-- name: delete_stale_chunks
-- Chunks that the new version of their document does not have.
delete from chunks using staged_documents as staged
where chunks.doc_key = staged.doc_key
  and staged.category = 'changed'
  and not exists (
      select from staged_chunks
      where staged_chunks.document_hash = staged.document_hash and staged_chunks.local_id = chunks.local_id
  )

-- name: update_sections
-- Sections whose text changed.
update sections set text = new.text, heading_path = new.heading_path, occurrence = new.occurrence
from staged_sections as new
join staged_documents as staged using (document_hash)
where staged.category = 'changed' and sections.doc_key = staged.doc_key and sections.section_id = new.section_id
  and (sections.text, sections.heading_path, sections.occurrence)
      is distinct from (new.text, new.heading_path, new.occurrence)

-- name: insert_sections
-- Sections that were not there; of a new document that is all of them, without looking.
insert into sections (doc_key, section_id, heading_path, occurrence, text)
select staged.doc_key, new.section_id, new.heading_path, new.occurrence, new.text
from staged_sections as new
join staged_documents as staged using (document_hash)
where staged.category <> 'changed' or not exists (
    select from sections where sections.doc_key = staged.doc_key and sections.section_id = new.section_id
)

-- name: update_chunks
-- Chunks that stand elsewhere in their section, or under another title.
update chunks set
    start_offset = new.start_offset, end_offset = new.end_offset, tokens = new.tokens, forced = new.forced,
    embed_hash = new.embed_hash, text = new.text, shingles = new.shingles
from staged_chunks as new
join staged_documents as staged using (document_hash)
where staged.category = 'changed' and chunks.doc_key = staged.doc_key and chunks.local_id = new.local_id
  and (chunks.start_offset, chunks.end_offset, chunks.tokens, chunks.forced, chunks.embed_hash, chunks.text,
       chunks.shingles)
      is distinct from (new.start_offset, new.end_offset, new.tokens, new.forced, new.embed_hash, new.text, new.shingles)

-- name: insert_chunks
-- Chunks that were not there.
insert into chunks (
    doc_key, section_id, local_id, acl_id, text, start_offset, end_offset, tokens, forced, embed_hash, shingles
)
select staged.doc_key, new.section_id, new.local_id, staged.acl_id, new.text, new.start_offset,
    new.end_offset, new.tokens, new.forced, new.embed_hash, new.shingles
from staged_chunks as new
join staged_documents as staged using (document_hash)
where staged.category <> 'changed' or not exists (
    select from chunks where chunks.doc_key = staged.doc_key and chunks.local_id = new.local_id
)

-- name: delete_stale_sections
-- Sections that the new version of their document does not have; their chunks are gone already.
delete from sections using staged_documents as staged
where sections.doc_key = staged.doc_key
  and staged.category = 'changed'
  and not exists (
      select from staged_sections
      where staged_sections.document_hash = staged.document_hash and staged_sections.section_id = sections.section_id
  )

-- name: update_chunk_access
-- A document's access is its chunks' access.
update chunks set acl_id = documents.acl_id
from staged_documents
join documents using (doc_key)
where chunks.doc_key = documents.doc_key and chunks.acl_id <> documents.acl_id

-- name: update_vectors
-- Kept chunks whose access changed, or whose text is embedded under another title.
update chunk_vectors set acl_id = chunks.acl_id, embedding = embedding_store.embedding
from staged_documents
join chunks using (doc_key)
join rag.embedding_store
    on embedding_store.model = %(model)s and embedding_store.embed_hash = chunks.embed_hash
where chunk_vectors.chunk_key = chunks.chunk_key
  and (chunk_vectors.acl_id <> chunks.acl_id or chunk_vectors.embedding <> embedding_store.embedding)

-- name: insert_vectors
-- Every new chunk gets the vector of its text from the store.
insert into chunk_vectors (chunk_key, doc_key, acl_id, embedding)
select chunks.chunk_key, chunks.doc_key, chunks.acl_id, embedding_store.embedding
from staged_documents
join chunks using (doc_key)
join rag.embedding_store
    on embedding_store.model = %(model)s and embedding_store.embed_hash = chunks.embed_hash
where staged_documents.category in ('added', 'restored') or (
    staged_documents.category = 'changed'
    and not exists (select from chunk_vectors where chunk_vectors.chunk_key = chunks.chunk_key)
)

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

-- name: use_approvals
-- An approval holds for one refresh.
update rag.approvals set used_at = now() where approval_id = any (%(approvals)s)

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
