-- name: sources
-- The sources that the live generation has, with their documents.
select stands.source, (select count(*) from documents where documents.source = stands.source) as documents
from rag.generation_sources as stands
where stands.generation = %(live)s and stands.snapshot_id is not null
order by stands.source

-- name: some_documents
-- So many documents of a source, by their hash, which is as good as by lot, as changes to an empty generation.
select documents.document_id, documents.uri, documents.version, documents.modified_at, documents.size,
    documents.media_type, null::text[] as allow, null::text[] as deny, documents.metadata::text as metadata,
    null::text as failure, documents.document_hash, documents.content_hash, documents.declared_access,
    null::bigint as doc_key, 'added' as category, null::text as previous_id
from documents
where documents.source = %(source)s
order by documents.document_hash
limit %(number)s

-- name: create_planned
-- The texts that the documents which were cut want embedded.
create temp table planned (source text not null, document_hash bytea not null, embed_hash bytea not null, tokens int not null)

-- name: planned
-- How many chunks they make, and how many distinct texts with how many tokens the store has no vector of.
select (select count(*) from planned) as chunks, count(*) as texts, coalesce(sum(tokens), 0)::bigint as tokens
from (
    select embed_hash, max(tokens) as tokens
    from planned
    where not exists (
        select from rag.embedding_store
        where embedding_store.model = %(model)s and embedding_store.embed_hash = planned.embed_hash
    )
    group by embed_hash
) as missing

-- name: cut_otherwise
-- Whether the documents that were cut have other chunks in the live generation.
select exists (
    select from (select document_hash, embed_hash, count(*) as times from planned group by 1, 2) as wanted
    full join (
        select documents.document_hash, chunks.embed_hash, count(*) as times
        from chunks
        join documents using (doc_key)
        where documents.document_hash in (select document_hash from planned)
        group by 1, 2
    ) as own using (document_hash, embed_hash)
    where wanted.times is distinct from own.times
)

-- name: published_chunks
-- All chunks of the live generation, and the distinct texts among them that the store has no vector of.
select (select count(*) from chunks) as chunks, count(distinct chunks.embed_hash) as texts
from chunks
where not exists (
    select from rag.embedding_store
    where embedding_store.model = %(model)s and embedding_store.embed_hash = chunks.embed_hash
)

-- name: sizes
-- Bytes of the live generation, less its vectors, and its chunks.
select coalesce(sum(pg_total_relation_size(oid)), 0)::bigint, (select count(*) from chunks)
from pg_class
where relnamespace = to_regnamespace(format('rag_g%%s', %(live)s::int)) and relkind = 'r' and relname <> 'chunk_vectors'

-- name: speed
-- How many texts a second a model has lately embedded, in the runs of the last days: batches of one run follow each other.
select sum(texts - first) / nullif(sum(extract(epoch from until - since)), 0)
from (
    select sum(texts) as texts, min(at) as since, max(at) as until,
        (array_agg(texts order by at))[1] as first
    from rag.usage_ledger
    where model = %(model)s and purpose = 'index' and texts > 0 and at > now() - make_interval(days => %(days)s)
    group by run_id, source
    having count(*) > 1
) as runs

-- name: progress
-- How far a generation that is built is with each source of the live one.
select live.source, building.snapshot_id is not null as built,
    coalesce(
        building.snapshot_id is not null and (
            building.equals_revision = live.revision
            or (building.equals_revision is null and building.snapshot_id >= live.snapshot_id)
        ), false
    ) as equal,
    building.chunks as chunks_total, building.texts as texts_total, building.failure,
    (
        select coalesce(sum(usage_ledger.texts), 0)::bigint from rag.usage_ledger
        where usage_ledger.model = %(model)s and usage_ledger.source = live.source and usage_ledger.purpose = 'index'
          and usage_ledger.at >= building.begun_at
    ) as texts,
    (
        select count(*) from rag.quarantine
        where quarantine.generation = %(building)s and quarantine.source = live.source
    ) as quarantined
from rag.generation_sources as live
left join rag.generation_sources as building on building.source = live.source and building.generation = %(building)s
where live.generation = %(live)s and live.snapshot_id is not null
order by live.source

-- name: sizes_by_source
-- What a generation holds of each source.
select documents.source, count(distinct documents.doc_key) as documents, count(chunks.chunk_key) as chunks
from documents
left join chunks using (doc_key)
group by documents.source

-- name: spent
-- What the model of a generation has cost since the generation was begun, and how many tokens a text had.
select coalesce(sum(cost_usd), 0)::float8, sum(tokens)::float8 / nullif(sum(texts), 0)
from rag.usage_ledger
where model = %(model)s and at >= %(since)s
