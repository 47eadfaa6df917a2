-- The windows: what is given to a model around a hit.
create or replace view rag.sections with (security_invoker = true) as
select
    encode(documents.document_hash, 'hex') || '-' || encode(sections.section_id, 'hex') as section_id,
    encode(documents.document_hash, 'hex') as document_key,
    documents.source,
    documents.document_id,
    sections.heading_path,
    sections.occurrence,
    documents.section_starts[array_position(documents.section_ids, sections.section_id)] as position,
    sections.text
from sections
join documents using (doc_key);
comment on view rag.sections is 'Sections of published documents; position is an offset in the document''s canonical text.';
grant select on rag.sections to rag_analyst, rag_writer;
