-- name: freshness
-- How fresh and how large every source is.
select source, type, documents, chunks, as_of, stale, oldest_unpublished_change, quarantined, withheld, pinned_snapshot,
    gate_closed_since
from rag.freshness
order by source

-- name: quarantine
-- What could not be read, and why.
select source, document_id, uri, reason, first_seen, last_seen, attempts
from rag.quarantine
join rag.generations using (generation)
where generations.state = 'live' and (%(sources)s::text[] is null or source = any (%(sources)s))
order by source, uri
