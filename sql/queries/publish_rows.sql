-- The documents, sections, chunks and vectors of a refresh: what is lost goes first, then what is known is changed and what
-- is new is added. Rows that did not change are not touched.

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
-- Every new chunk gets the vector of its text from the store. What the same callers read lies together: a search that
-- compares all of it reads fewer pages.
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
order by chunks.acl_id, chunks.chunk_key
