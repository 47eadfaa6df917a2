-- A chunk in its document: the section that it stands in and those around it, in order; nothing where the caller may
-- not read the document, just as where there is no such chunk.
create or replace function rag.window(
    chunk_id   text,
    principals text[],
    before     int default 0,
    after      int default 0
) returns table (
    document_id  text,
    source       text,
    uri          text,
    title        text,
    modified_at  timestamptz,
    stale        boolean,
    heading_path text[],
    text         text,
    "position"   int,
    is_hit       boolean,
    hit_start    int,
    hit_end      int,
    earlier      int,
    later        int
)
language sql stable security definer
set search_path from current
as $$
    with lists as materialized (select rag.visible_acl_ids(principals) as acl_id where rag.expect_live_generation()),
    named as materialized (select * from rag.named_chunk(chunk_id)),
    hit as (
        select documents.*, chunks.start_offset, chunks.end_offset, chunks.section_id,
            array_position(documents.section_ids, chunks.section_id) as number
        from documents
        join chunks on chunks.doc_key = documents.doc_key
        where documents.document_hash = (select named.document_hash from named)
          and chunks.local_id = (select named.local_id from named)
          and documents.acl_id in (select acl_id from lists)
          and chunks.acl_id in (select acl_id from lists)
    )
    select hit.document_id, hit.source, hit.uri, hit.title, hit.modified_at, confirmed.stale, sections.heading_path,
        sections.text, hit.section_starts[wanted.number], wanted.number = hit.number,
        case when wanted.number = hit.number then hit.start_offset end,
        case when wanted.number = hit.number then hit.end_offset end,
        greatest(hit.number - greatest(before, 0) - 1, 0),
        greatest(cardinality(hit.section_ids) - hit.number - greatest(after, 0), 0)
    from hit
    cross join lateral generate_series(
        greatest(hit.number - greatest(before, 0), 1)::int,
        least(hit.number::bigint + greatest(after, 0), cardinality(hit.section_ids))::int
    ) as wanted (number)
    join sections on sections.doc_key = hit.doc_key and sections.section_id = hit.section_ids[wanted.number]
    join rag.confirmed_sources(array[hit.source]) as confirmed on confirmed.source = hit.source
    order by wanted.number;
$$;
comment on function rag.window(text, text[], int, int)
    is 'The sections around a chunk that a caller with these principals may read.';
revoke all on function rag.window(text, text[], int, int) from public;
grant execute on function rag.window(text, text[], int, int) to rag_reader, rag_writer;
