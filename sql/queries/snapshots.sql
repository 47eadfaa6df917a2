-- name: register_source
-- A source exists from its first refresh on; its settings may change later.
insert into rag.sources as known (source, type, stale_after)
values (%(source)s, %(type)s, make_interval(mins => %(stale_after_minutes)s))
on conflict (source) do update set type = excluded.type, stale_after = excluded.stale_after
where (known.type, known.stale_after) is distinct from (excluded.type, excluded.stale_after)

-- name: source_language
-- What the words of a source are read with where it is set to this name or code, null where Postgres has nothing for
-- it; and the names that it has something for.
select rag.language(jsonb_build_object('source_language', %(language)s::text), null), array(
    select cfgname::text
    from pg_ts_config
    where cfgnamespace = 'pg_catalog'::regnamespace
      and rag.language(jsonb_build_object('source_language', cfgname), null) is not null
    order by 1
)

-- name: pinned_manifest
-- The snapshot that a rollback holds the source at, and the folder of its manifest.
select sources.pinned_snapshot, snapshots.manifest
from rag.sources
left join rag.snapshots on snapshots.snapshot_id = sources.pinned_snapshot
where sources.source = %(source)s and sources.pinned_snapshot is not null

-- name: add_snapshot
-- One row a listing, complete or not.
insert into rag.snapshots (source, started_at, complete, reason, listed)
values (%(source)s, %(started_at)s, %(complete)s, %(reason)s, %(listed)s)
returning snapshot_id

-- name: published_snapshots
-- What a rollback may go back to, newest first.
select distinct on (snapshots.snapshot_id)
    snapshots.snapshot_id, snapshots.started_at, snapshots.manifest
from rag.snapshots
join rag.refreshes using (snapshot_id)
where snapshots.source = %(source)s and snapshots.manifest is not null
order by snapshots.snapshot_id desc

-- name: pin
-- Hold a source at a snapshot (or release it with null).
update rag.sources set pinned_snapshot = %(snapshot_id)s where source = %(source)s
