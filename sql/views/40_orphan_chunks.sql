-- Always empty: chunks without a document, a section, a vector or terms.
create or replace view rag.orphan_chunks with (security_invoker = true) as
select chunks.chunk_key, chunks.doc_key, chunks.section_id
from chunks
left join documents using (doc_key)
left join sections using (doc_key, section_id)
left join chunk_vectors using (chunk_key)
left join chunk_terms using (chunk_key)
where documents.doc_key is null or sections.section_id is null or chunk_vectors.chunk_key is null
   or chunk_terms.chunk_key is null;
comment on view rag.orphan_chunks is 'Chunks without a document, a section, a vector or terms: none, ever.';
grant select on rag.orphan_chunks to rag_writer;
