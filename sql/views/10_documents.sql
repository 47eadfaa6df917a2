-- The documents of the live generation that the reader may see.
create or replace view rag.documents with (security_invoker = true) as
select
    encode(documents.document_hash, 'hex') as document_key,
    documents.source,
    documents.document_id,
    documents.uri,
    documents.title,
    documents.media_type,
    documents.modified_at,
    documents.size,
    encode(documents.content_hash, 'hex') as content_hash,
    documents.front_matter || documents.metadata as metadata,
    documents.language,
    documents.acl_id,
    cardinality(documents.section_ids) as sections,
    documents.snapshot_id
from documents;
comment on view rag.documents is 'Published documents; snapshot_id is the snapshot that brought the present content.';
grant select on rag.documents to rag_analyst, rag_writer;
