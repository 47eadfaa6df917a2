-- name: create_staged_documents
-- Where a refresh is laid out before the transaction; lives as long as the session.
create temp table staged_documents (
    document_hash   bytea not null,
    doc_key         bigint,
    category        text not null,
    document_id     text not null,
    uri             text,
    title           text,
    media_type      text,
    version         text,
    modified_at     timestamptz,
    size            bigint,
    content_hash    bytea,
    declared_access text[],
    allow           text[],
    deny            text[],
    digest          bytea,
    acl_id          int,
    metadata        jsonb,
    front_matter    jsonb,
    language        text,
    section_ids     bytea[],
    section_starts  int[],
    places          jsonb,
    failure         text,
    refused_by      text
)

-- name: create_staged_sections
-- The sections of the documents whose content matters.
create temp table staged_sections (
    document_hash bytea not null,
    section_id    bytea not null,
    heading_path  text[] not null,
    occurrence    int not null,
    text          text not null
)

-- name: create_staged_chunks
-- And their chunks.
create temp table staged_chunks (
    document_hash bytea not null,
    section_id    bytea not null,
    local_id      bytea not null,
    text          text not null,
    start_offset  int not null,
    end_offset    int not null,
    tokens        int not null,
    forced        boolean not null,
    embed_hash    bytea not null,
    shingles      bytea not null
)

-- name: create_staged_terms
-- What the chunks that this refresh touches are to be found by.
create temp table staged_terms (
    chunk_key bigint not null,
    doc_key   bigint not null,
    acl_id    int not null,
    language  text not null,
    terms     tsvector not null,
    length    int not null
)

-- name: create_staged_refused
-- The documents with a text that the model refused; what is not lasting is tried again.
create temp table staged_refused (
    document_hash bytea not null,
    reason        text not null,
    lasting       boolean not null
)

-- name: find_known_refused
-- Documents whose content has not changed since the model refused a text of it.
insert into staged_refused (document_hash, reason, lasting)
select quarantine.document_hash, quarantine.reason, quarantine.content_hash is not null
from rag.quarantine
join staged_documents as staged using (document_hash)
where quarantine.generation = %(generation)s and quarantine.refused_by = %(model)s
  and coalesce(quarantine.content_hash, staged.content_hash) = staged.content_hash
  and staged.category in ('added', 'changed', 'restored')

-- name: set_refused_aside
-- They are quarantined like those that cannot be read: what is published of them stays.
update staged_documents as staged
set category = 'quarantined', failure = refused.reason, refused_by = %(model)s,
    content_hash = case when refused.lasting then staged.content_hash end
from staged_refused as refused
where staged.document_hash = refused.document_hash and staged.category in ('added', 'changed', 'restored')

-- name: drop_refused_sections
-- And nothing of them is merged.
delete from staged_sections using staged_refused
where staged_sections.document_hash = staged_refused.document_hash

-- name: drop_refused_chunks
-- Nor of their chunks.
delete from staged_chunks using staged_refused
where staged_chunks.document_hash = staged_refused.document_hash

-- name: small_samples
-- Sizes and a rough spread are all that the planner needs of staging.
select set_config('default_statistics_target', '10', false)

-- name: enough_memory
-- Words are counted in memory, and their new entries collected before they are put into the index of words; with the
-- server's defaults both go through small batches, several times slower.
select set_config('work_mem', '256MB', false), set_config('gin_pending_list_limit', '128MB', false)

-- name: analyze_staging
-- Temporary tables have no statistics of their own.
analyze staged_documents (document_hash, doc_key, category, digest),
    staged_sections (document_hash, section_id), staged_chunks (document_hash, section_id, local_id)
