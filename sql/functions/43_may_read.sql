-- Whether a caller may read all of these chunks, now: each of them is there, in a document that admits the caller. For what
-- was kept outside of the database and is to be shown again.
create or replace function rag.may_read(chunk_ids text[], principals text[]) returns boolean
language sql stable security definer
set search_path from current
as $$
    with lists as materialized (select rag.visible_acl_ids(principals) as acl_id where rag.expect_live_generation()),
    named as materialized (
        select named_chunk.* from unnest(chunk_ids) as chunk_id cross join lateral rag.named_chunk(chunk_id)
    )
    select chunk_ids is not null and not exists (
        select from named
        where not exists (
            select from documents
            join chunks on chunks.doc_key = documents.doc_key
            where documents.document_hash = named.document_hash
              and chunks.local_id = named.local_id
              and documents.acl_id in (select acl_id from lists)
              and chunks.acl_id in (select acl_id from lists)
        )
    );
$$;
comment on function rag.may_read(text[], text[])
    is 'Whether all of these chunks are there and a caller with these principals may read them.';
revoke all on function rag.may_read(text[], text[]) from public;
grant execute on function rag.may_read(text[], text[]) to rag_reader, rag_writer;
