-- The nearest chunks to a query vector among those that the caller may read. The one way in for rag_reader:
-- it runs with the owner's rights, on a pinned search_path, and filters before it searches.
create or replace function rag.search_vector(
    query           halfvec,
    query_model     text,
    principals      text[],
    k               int default 10,
    only_sources    text[] default null,
    modified_since  timestamptz default null,
    metadata_filter jsonb default null
) returns table (
    chunk_id     text,
    document_id  text,
    source       text,
    uri          text,
    title        text,
    heading_path text[],
    text         text,
    "window"     text,
    modified_at  timestamptz,
    "position"   int,
    place        jsonb,
    distance     double precision
)
language plpgsql stable security definer
set search_path from current
as $$
#variable_conflict use_column
declare
    live_model text := (select generations.model from rag.generations where generations.state = 'live');
    lists      int[] := array(select rag.visible_acl_ids(principals));
begin
    if query_model is distinct from live_model then
        raise exception 'the query was embedded with %, the index with %', query_model, live_model
            using hint = 'Use the model of the index, or publish a generation of the other model.',
                  errcode = 'invalid_parameter_value';
    end if;
    return query
    with nearest as materialized (
        select chunk_vectors.chunk_key, (chunk_vectors.embedding <#> query) + 0 as distance
        from chunk_vectors
        where chunk_vectors.acl_id = any (lists)
          and (
              (only_sources is null and modified_since is null and metadata_filter is null)
              or exists (
                  select from chunks
                  join documents using (doc_key)
                  where chunks.chunk_key = chunk_vectors.chunk_key
                    and (only_sources is null or documents.source = any (only_sources))
                    and (modified_since is null or documents.modified_at >= modified_since)
                    and (metadata_filter is null
                         or documents.front_matter || documents.metadata @> metadata_filter)
              )
          )
        order by distance, chunk_vectors.chunk_key
        limit least(greatest(k, 0), 1000)
    )
    select
        encode(documents.document_hash, 'hex') || '-' || encode(chunks.local_id, 'hex'),
        documents.document_id,
        documents.source,
        documents.uri,
        documents.title,
        sections.heading_path,
        chunks.text,
        sections.text,
        documents.modified_at,
        documents.section_starts[array_position(documents.section_ids, sections.section_id)] + chunks.start_offset,
        coalesce(documents.places -> encode(chunks.local_id, 'hex'), '{}'),
        nearest.distance
    from nearest
    join chunks using (chunk_key)
    join sections using (doc_key, section_id)
    join documents on documents.doc_key = chunks.doc_key
    order by nearest.distance, chunks.local_id;
end;
$$;
comment on function rag.search_vector(halfvec, text, text[], int, text[], timestamptz, jsonb)
    is 'Nearest chunks that a caller with these principals may read, with their windows.';
revoke all on function rag.search_vector(halfvec, text, text[], int, text[], timestamptz, jsonb) from public;
grant execute on function rag.search_vector(halfvec, text, text[], int, text[], timestamptz, jsonb)
    to rag_reader, rag_writer;
