-- What is searched.
create or replace view rag.chunks with (security_invoker = true) as
select
    encode(documents.document_hash, 'hex') || '-' || encode(chunks.local_id, 'hex') as chunk_id,
    encode(documents.document_hash, 'hex') || '-' || encode(sections.section_id, 'hex') as section_id,
    encode(documents.document_hash, 'hex') as document_key,
    documents.source,
    documents.document_id,
    documents.uri,
    documents.title,
    sections.heading_path,
    documents.section_starts[array_position(documents.section_ids, sections.section_id)] + chunks.start_offset
        as position,
    coalesce(documents.places -> encode(chunks.local_id, 'hex'), '{}') as place,
    chunks.text,
    chunks.tokens,
    chunks.forced,
    chunks.acl_id,
    encode(chunks.embed_hash, 'hex') as embed_hash
from chunks
join sections using (doc_key, section_id)
join documents on documents.doc_key = chunks.doc_key;
comment on view rag.chunks is 'Published chunks; forced marks one whose border lies inside a paragraph, table or code block.';
grant select on rag.chunks to rag_analyst, rag_writer;
