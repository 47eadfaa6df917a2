-- How old the index is, as a whole and by source.

-- Since when each source is confirmed: the start of its last complete listing that was published. The one definition of
-- it; a view, because analysts read it as well, below rag.freshness.
create or replace view rag.confirmations with (security_invoker = true) as
select sources.source, last.started_at as as_of,
    coalesce(now() - last.started_at > sources.stale_after, true) as stale
from rag.sources
join rag.generations on generations.state = 'live'
join rag.generation_sources as stands
    on stands.source = sources.source and stands.generation = generations.generation and stands.snapshot_id is not null
left join lateral (
    -- A source that a rollback holds is as old as what it is held at.
    select coalesce(held.started_at, confirmed.started_at) as started_at
    from (select 1) as always
    left join rag.snapshots as held on held.snapshot_id = sources.pinned_snapshot
    left join rag.snapshots as confirmed on confirmed.snapshot_id = stands.confirmed_id
) as last on true;
comment on view rag.confirmations
    is 'Per published source: the time of its last complete listing, and whether that is too long ago.';
grant select on rag.confirmations to rag_analyst, rag_writer;

-- The same for some sources or all, computed once for a statement that meets many documents of a source.
create or replace function rag.confirmed_sources(only_sources text[] default null)
returns table (source text, as_of timestamptz, stale boolean)
language sql stable
set search_path from current
as $$
    select confirmations.source, confirmations.as_of, confirmations.stale
    from rag.confirmations
    where only_sources is null or confirmations.source = any (only_sources);
$$;
comment on function rag.confirmed_sources(text[]) is 'The confirmations of some sources or all.';
revoke all on function rag.confirmed_sources(text[]) from public;

-- What a reader may know of the index as a whole: its generation, its model and how that is opened, and how old it is at
-- most; null while a source was never listed completely. It is about the generation that the functions read: right after a
-- flip an old snapshot still calls another one live. `sample` is the vector that the model's service gave for a fixed text:
-- who embeds a question compares it with what the service gives now, and so notices another model.
create or replace function rag.index_state(only_sources text[] default null)
returns table (
    generation int, model text, dimensions int, as_of timestamptz, embedding jsonb, answered_as text, sample halfvec
)
language sql stable security definer
set search_path from current
as $$
    select generations.generation, generations.model, generations.dimensions,
        (
            select case when bool_and(confirmed.as_of is not null) then min(confirmed.as_of) end
            from rag.confirmed_sources(only_sources) as confirmed
        ),
        coalesce(generations.recipe -> 'embedding', '{}'), samples.answered_as, samples.embedding
    from rag.generations
    left join rag.embedding_samples as samples on samples.model = generations.model
    where generations.generation = rag.own_generation();
$$;
comment on function rag.index_state(text[])
    is 'Live generation, its model, how that is opened and known again, and the time since when every source is confirmed.';
revoke all on function rag.index_state(text[]) from public;
grant execute on function rag.index_state(text[]) to rag_reader, rag_writer;
