-- What a reader may know of the index as a whole: its generation, its model, and how old it is at most.
create or replace function rag.index_state(only_sources text[] default null)
returns table (generation int, model text, dimensions int, as_of timestamptz)
language sql stable security definer
set search_path from current
as $$
    select generations.generation, generations.model, generations.dimensions, (
        select min(confirmed.as_of)
        from (
            select refreshes.source, max(snapshots.started_at) filter (where snapshots.complete) as as_of
            from rag.refreshes
            join rag.snapshots using (snapshot_id)
            where only_sources is null or refreshes.source = any (only_sources)
            group by refreshes.source
        ) as confirmed
    )
    from rag.generations
    where generations.state = 'live';
$$;
comment on function rag.index_state(text[]) is 'Live generation, its model, and the time since when every source is confirmed.';
revoke all on function rag.index_state(text[]) from public;
grant execute on function rag.index_state(text[]) to rag_reader, rag_writer;
