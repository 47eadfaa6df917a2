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
-- Published documents, and lost ones within their grace period.
insert into needed
select content_hash from documents
union
select content_hash from rag.tombstones

-- name: unneeded
-- Those of the given blobs that nothing refers to.
select hash from unnest(%(hashes)s::bytea[]) as hash
where not exists (select from needed where needed.content_hash = hash)

-- name: mark_unused_vectors
-- Vectors that no chunk uses start to wait.
update rag.embedding_store set unused_since = now()
where unused_since is null and not exists (select from chunks where chunks.embed_hash = embedding_store.embed_hash)

-- name: mark_used_vectors
-- Vectors that are used again stop waiting.
update rag.embedding_store set unused_since = null
where unused_since is not null and exists (select from chunks where chunks.embed_hash = embedding_store.embed_hash)

-- name: purge_vectors
-- Vectors that waited long enough are gone.
delete from rag.embedding_store where unused_since < now() - make_interval(days => %(days)s)
