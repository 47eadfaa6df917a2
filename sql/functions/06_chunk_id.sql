-- The document and the chunk in it that a chunk_id names; nulls for a text that cannot be one. The one place that takes it
-- apart: with a condition beside it, instead of the case, the planner would decode first.
create or replace function rag.named_chunk(chunk_id text) returns table (document_hash bytea, local_id bytea)
language sql immutable parallel safe
as $$
    select
        case when well_formed then decode(substr(chunk_id, 1, 32), 'hex') end,
        case when well_formed then decode(substr(chunk_id, 34), 'hex') end
    from (select chunk_id ~ '^[0-9a-f]{32}-[0-9a-f]{32}$' as well_formed) as looked_at;
$$;
comment on function rag.named_chunk(text) is 'The document and the chunk that a chunk_id names; nulls for no chunk_id.';
revoke all on function rag.named_chunk(text) from public;
