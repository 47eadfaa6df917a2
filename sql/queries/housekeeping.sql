-- name: purge_tombstones
-- The grace period is over: a lost document is forgotten for good.
delete from rag.tombstones where removed_at < now() - make_interval(days => %(days)s)

-- name: expired_manifests
-- Snapshots that nothing can go back to any more: old, and not what is published or held.
with newest as (
    select distinct on (source) source, manifest
    from rag.snapshots
    where manifest is not null
    order by source, snapshot_id desc
)
select distinct snapshots.manifest
from rag.snapshots
where snapshots.manifest is not null
  and not exists (select from newest where newest.manifest = snapshots.manifest)
  and not exists (
      select from rag.sources
      join rag.snapshots as pinned on pinned.snapshot_id = sources.pinned_snapshot
      where pinned.manifest = snapshots.manifest
  )
  and not exists (
      select from rag.snapshots as recent
      where recent.manifest = snapshots.manifest and recent.started_at >= now() - make_interval(days => %(days)s)
  )

-- name: forget_manifests
-- Their files are about to be removed.
update rag.snapshots set manifest = null where manifest = any (%(manifests)s)

-- name: kept_manifests
-- Folders that are still needed.
select distinct manifest from rag.snapshots where manifest is not null

-- name: create_needed
-- Hashes of the blobs that something still refers to.
create temp table needed (content_hash bytea not null)

-- name: need_published
-- The documents of a generation; asked of each.
insert into needed select content_hash from documents

-- name: need_lost
-- Lost documents within their grace period.
insert into needed select content_hash from rag.tombstones

-- name: unneeded
-- Those of the given blobs that nothing refers to.
select hash from unnest(%(hashes)s::bytea[]) as hash
where not exists (select from needed where needed.content_hash = hash)

-- name: create_used_vectors
-- What a generation that still has its tables searches in.
create temp table used_vectors (model text not null, embed_hash bytea not null)

-- name: standing_generations
-- Those, and the search path to come back to.
select generation, model, current_setting('search_path')
from rag.generations
where to_regclass('rag_g' || generation || '.chunks') is not null

-- name: use_vectors_of_generation
-- The generation is the one on the search path.
insert into used_vectors select distinct %(model)s, embed_hash from chunks

-- name: mark_used_vectors
-- Vectors that are used again stop waiting; in the order in which runs take them, against deadlocks.
with waiting as (
    select store.model, store.embed_hash
    from rag.embedding_store as store
    where store.unused_since is not null
      and exists (
          select from used_vectors as used where used.model = store.model and used.embed_hash = store.embed_hash
      )
    order by store.model, store.embed_hash
    for no key update
)
update rag.embedding_store as store set unused_since = null
from waiting
where store.model = waiting.model and store.embed_hash = waiting.embed_hash

-- name: mark_unused_vectors
-- Vectors that no generation uses start to wait; not those of a model that one is built with, which will use them.
update rag.embedding_store as store set unused_since = now()
where unused_since is null
  and store.model not in (select generations.model from rag.generations where generations.state = 'building')
  and not exists (select from used_vectors as used where used.model = store.model and used.embed_hash = store.embed_hash)

-- name: drop_used_vectors
-- All are marked.
drop table used_vectors

-- name: purge_vectors
-- Vectors that waited long enough are gone; taken in the same order.
with expired as (
    select model, embed_hash
    from rag.embedding_store
    where unused_since < now() - make_interval(days => %(days)s)
    order by model, embed_hash
    for update
)
delete from rag.embedding_store as store
using expired
where store.model = expired.model and store.embed_hash = expired.embed_hash

-- name: purge_reservations
-- The month in which a killed run may have been charged is over; an hour more, as where budgets count them.
delete from rag.budget_reservations
where changed_at < date_trunc('month', now() at time zone 'UTC') at time zone 'UTC' - interval '1 hour'
