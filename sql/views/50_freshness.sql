-- How far behind its source each part of the index is.
create or replace view rag.freshness with (security_invoker = true) as
with live as (
    select generation from rag.generations where state = 'live'
),
counted as (
    select documents.source, count(distinct documents.doc_key) as documents, count(chunks.chunk_key) as chunks
    from documents
    left join chunks using (doc_key)
    group by documents.source
),
settled as (
    select source, max(refresh_id) filter (where withheld = 0) as refresh_id
    from rag.refreshes
    join live using (generation)
    group by source
),
waiting as (
    select refreshes.source, min(refreshes.published_at) as since,
        (array_agg(refreshes.withheld order by refreshes.refresh_id desc))[1] as withheld
    from rag.refreshes
    join live using (generation)
    join settled using (source)
    where refreshes.refresh_id > coalesce(settled.refresh_id, 0)
    group by refreshes.source
),
unreadable as (
    select source, count(*) as quarantined, min(first_seen) as since
    from rag.quarantine
    join live using (generation)
    group by source
),
closed as (
    select evaluations.source, min(evaluations.at) as since
    from rag.evaluations
    join live using (generation)
    where evaluations.purpose = 'refresh' and not evaluations.passed and not exists (
        select from rag.refreshes
        where refreshes.source = evaluations.source and refreshes.generation = evaluations.generation
          and refreshes.published_at > evaluations.at
    )
    group by evaluations.source
)
select
    sources.source,
    sources.type,
    coalesce(counted.documents, 0) as documents,
    coalesce(counted.chunks, 0) as chunks,
    confirmations.as_of,
    coalesce(confirmations.stale, true) as stale,
    least(waiting.since, unreadable.since, closed.since) as oldest_unpublished_change,
    coalesce(unreadable.quarantined, 0) as quarantined,
    coalesce(waiting.withheld, 0) as withheld,
    coalesce(stands.revision, 0) as revision,
    sources.pinned_snapshot,
    closed.since as gate_closed_since
from rag.sources
left join counted using (source)
left join rag.confirmations using (source)
left join waiting using (source)
left join unreadable using (source)
left join closed using (source)
left join (rag.generation_sources as stands join live using (generation)) on stands.source = sources.source;
comment on view rag.freshness is 'Per source: size, the time it was last confirmed complete, and the oldest change that is not published.';
grant select on rag.freshness to rag_analyst, rag_writer;
