-- name: fitting_vectors
-- How many of these texts have a vector in the store that is as long as the generation's.
select count(*)
from rag.embedding_store
join rag.generations on generations.generation = %(generation)s
where embedding_store.model = %(model)s and embedding_store.embed_hash = any (%(hashes)s)
  and vector_dims(embedding_store.embedding) = generations.dimensions

-- name: published_counts
-- What one source has in the index at this moment, and the revision that this is.
with kept as (select doc_key, cardinality(section_ids) as sections from documents where source = %(source)s)
select
    (select revision from rag.generation_sources where generation = %(generation)s and source = %(source)s) as revision,
    (select count(*) from kept) as documents,
    (select coalesce(sum(sections), 0)::bigint from kept) as sections_announced,
    (select count(*) from sections join kept using (doc_key)) as sections,
    (select count(*) from chunks join kept using (doc_key)) as chunks,
    (select count(*) from chunk_vectors join chunks using (chunk_key) join kept on kept.doc_key = chunks.doc_key) as vectors,
    (select count(*) from chunk_terms join chunks using (chunk_key) join kept on kept.doc_key = chunks.doc_key) as terms

-- name: orphans
-- Rows without the row that they belong to, in the whole generation; the foreign keys forbid them.
select
    (select count(*) from sections where not exists (
        select from documents where documents.doc_key = sections.doc_key)) as sections,
    (select count(*) from chunks where not exists (
        select from sections where sections.doc_key = chunks.doc_key and sections.section_id = chunks.section_id)) as chunks,
    (select count(*) from chunk_vectors where not exists (
        select from chunks where chunks.chunk_key = chunk_vectors.chunk_key)) as vectors,
    (select count(*) from chunk_terms where not exists (
        select from chunks where chunks.chunk_key = chunk_terms.chunk_key)) as terms

-- name: chunk_columns
-- The columns of the public view of chunks, in order.
select attname::text as column_name, format_type(atttypid, atttypmod) as column_type
from pg_attribute
where attrelid = to_regclass('rag.chunks') and attnum > 0 and not attisdropped
order by attnum

-- name: following
-- How one source stands in a generation that is built: whether it is there, whether it is there as in the live one,
-- and what kept it from that at the last attempt. No row where the live one does not have it.
select
    building.snapshot_id is not null as built,
    coalesce(
        building.snapshot_id is not null and (
            building.equals_revision = live.revision
            or (building.equals_revision is null and building.snapshot_id >= live.snapshot_id)
        ), false
    ) as equal,
    building.failure
from rag.generations
join rag.generation_sources as live using (generation)
left join rag.generation_sources as building on building.source = live.source and building.generation = %(generation)s
where generations.state = 'live' and live.source = %(source)s and live.snapshot_id is not null
