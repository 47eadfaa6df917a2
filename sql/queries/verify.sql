-- name: ghosts
-- What the index holds and the sources do not: documents, and chunks of documents.
select 'document ' || documents.document_id as what
from documents
where documents.source = %(source)s and not exists (
    select from staged_documents
    where staged_documents.document_hash = documents.document_hash and staged_documents.category <> 'removed'
)
union all
select 'a chunk of ' || documents.document_id
from chunks
join documents using (doc_key)
join staged_documents using (document_hash)
where documents.source = %(source)s and staged_documents.category = 'changed' and not exists (
    select from staged_chunks
    where staged_chunks.document_hash = documents.document_hash and staged_chunks.local_id = chunks.local_id
)

-- name: missing
-- What the sources hold and the index does not: documents, chunks, and vectors of chunks.
select 'document ' || document_id as what
from staged_documents
where category = 'added'
union all
select 'a chunk of ' || documents.document_id
from staged_chunks
join documents using (document_hash)
where not exists (
    select from chunks where chunks.doc_key = documents.doc_key and chunks.local_id = staged_chunks.local_id
)
union all
select 'the vector of a chunk of ' || documents.document_id
from chunks
join documents using (doc_key)
where documents.source = %(source)s
  and not exists (select from chunk_vectors where chunk_vectors.chunk_key = chunks.chunk_key)
union all
select 'the terms of a chunk of ' || documents.document_id
from chunks
join documents using (doc_key)
where documents.source = %(source)s
  and not exists (select from chunk_terms where chunk_terms.chunk_key = chunks.chunk_key)

-- name: different
-- What both hold, but not alike: documents, sections, chunks, vectors, access.
select 'document ' || documents.document_id as what
from staged_documents as staged
join documents using (document_hash)
join rag.access_lists on access_lists.acl_id = documents.acl_id
where staged.category = 'changed' and (
    documents.document_id, documents.uri, documents.title, documents.media_type, documents.modified_at,
    documents.size, documents.content_hash, documents.declared_access, documents.metadata, documents.front_matter,
    documents.language, documents.section_ids, documents.section_starts, documents.places, access_lists.digest
) is distinct from (
    staged.document_id, staged.uri, staged.title, staged.media_type, staged.modified_at,
    staged.size, staged.content_hash, staged.declared_access, staged.metadata, staged.front_matter,
    staged.language, staged.section_ids, staged.section_starts, staged.places, staged.digest
)
union all
select 'a section of ' || documents.document_id
from staged_documents as staged
join documents using (document_hash)
full join staged_sections as new using (document_hash)
full join sections on sections.doc_key = documents.doc_key and sections.section_id = new.section_id
where staged.category = 'changed'
  and (sections.text, sections.heading_path, sections.occurrence)
      is distinct from (new.text, new.heading_path, new.occurrence)
union all
select 'a chunk of ' || documents.document_id
from staged_documents as staged
join documents using (document_hash)
join staged_chunks as new using (document_hash)
join chunks on chunks.doc_key = documents.doc_key and chunks.local_id = new.local_id
where staged.category = 'changed'
  and (chunks.text, chunks.start_offset, chunks.end_offset, chunks.tokens, chunks.forced, chunks.embed_hash,
       chunks.acl_id, chunks.section_id, chunks.shingles)
      is distinct from (new.text, new.start_offset, new.end_offset, new.tokens, new.forced, new.embed_hash,
       documents.acl_id, new.section_id, new.shingles)
union all
select 'the vector of a chunk of ' || documents.document_id
from chunks
join documents using (doc_key)
join chunk_vectors using (chunk_key)
left join rag.embedding_store
    on embedding_store.model = %(model)s and embedding_store.embed_hash = chunks.embed_hash
where documents.source = %(source)s
  and (chunk_vectors.embedding is distinct from embedding_store.embedding or chunk_vectors.acl_id <> chunks.acl_id)
union all
select 'the terms of a chunk of ' || documents.document_id
from staged_documents as staged
join documents using (document_hash)
join staged_chunks as new using (document_hash)
join staged_sections using (document_hash, section_id)
join chunks on chunks.doc_key = documents.doc_key and chunks.local_id = new.local_id
join chunk_terms on chunk_terms.chunk_key = chunks.chunk_key
cross join lateral (
    -- Read once a chunk, not once for every comparison below.
    select rag.terms(staged.language, rag.found_by(staged.title, staged_sections.heading_path, new.text)) as terms
    offset 0
) as found
where staged.category = 'changed' and (
    (chunk_terms.places, chunk_terms.language, chunk_terms.length, chunk_terms.acl_id, chunk_terms.doc_key)
        is distinct from (
            rag.term_places(found.terms), staged.language,
            (select coalesce(sum(coalesce(cardinality(positions), 1)), 0)::int from unnest(found.terms)),
            chunks.acl_id, chunks.doc_key
        )
    or chunk_terms.weights <> rag.term_weights(found.terms, chunk_terms.length, (select average from keyword_state))
)
union all
select 'the count of a word'
from lexicon
full join (select unnest(places) as place, count(*) as df from chunk_terms group by 1) as counted
    on counted.place = lexicon.place
where lexicon.df is distinct from counted.df
union all
select 'the size of an access list'
from acl_sizes
full join (select acl_id, language, count(*) as chunks from chunk_terms group by acl_id, language) as counted
    on counted.acl_id = acl_sizes.acl_id and counted.language = acl_sizes.language
where acl_sizes.chunks is distinct from counted.chunks
union all
select 'the length of all chunks'
from keyword_state
cross join (select count(*) as chunks, coalesce(sum(length), 0) as length from chunk_terms) as counted
where (keyword_state.chunks, keyword_state.length, keyword_state.average) is distinct from
    (counted.chunks, counted.length, rag.average_in_force(counted.chunks, counted.length))

-- name: recount_lexicon
-- The counts of words, from the chunks themselves: first what is there is forgotten.
with gone as (delete from lexicon returning place)
select count(*) from gone

-- name: count_lexicon
-- And then counted.
insert into lexicon (place, df)
select unnest(places) as place, count(*) from chunk_terms group by 1

-- name: recount_sizes
-- How many chunks each access list admits to, likewise.
with gone as (delete from acl_sizes returning acl_id)
select count(*) from gone

-- name: count_sizes
-- And then counted.
insert into acl_sizes (acl_id, language, chunks)
select acl_id, language, count(*) from chunk_terms group by acl_id, language

-- name: recount_state
-- And how many chunks there are in all, how long, and the average that follows.
update keyword_state set chunks = counted.chunks, length = counted.length,
    average = rag.average_in_force(counted.chunks, counted.length)
from (select count(*) as chunks, coalesce(sum(length), 0) as length from chunk_terms) as counted
