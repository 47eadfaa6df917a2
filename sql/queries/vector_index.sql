-- name: state
-- What decides whether the graph is to be made, mended or made anew: chunks of the generation, whether it is there
-- and whole, its dimensions, and the share of dead rows that it still holds.
select
    keyword_state.chunks,
    graph.indexrelid is not null as present,
    coalesce(graph.indisvalid and graph.indisready, false) as whole,
    (select atttypmod from pg_attribute where attrelid = 'chunk_vectors'::regclass and attname = 'embedding') as dimensions,
    coalesce(counted.n_dead_tup::float8 / nullif(counted.n_dead_tup + counted.n_live_tup, 0), 0) as dead
from keyword_state
left join pg_index as graph on graph.indexrelid = to_regclass('chunk_vectors_graph')
left join pg_stat_user_tables as counted on counted.relid = 'chunk_vectors'::regclass

-- name: lock
-- One process at a time; the others leave it to that one. Let go when the session ends, however it ends.
select pg_try_advisory_lock(hashtextextended(format('rag-pipeline graph rag_g%%s', %(generation)s::int), 0))

-- name: give_memory
-- The graph is built in memory, several times faster than on disk.
select set_config('maintenance_work_mem', %(megabytes)s::int || 'MB', false),
    set_config('max_parallel_maintenance_workers', %(workers)s::int::text, false)

-- name: drop_graph
-- What a killed build left behind is of no use.
drop index concurrently if exists chunk_vectors_graph

-- name: left_behind
-- The statements that drop what killed re-indexings, and builds of the graphs of groups, left behind.
select format('drop index concurrently if exists %I.%I', nspname, relname)
from pg_index
join pg_class on pg_class.oid = indexrelid
join pg_namespace on pg_namespace.oid = relnamespace
where indrelid = 'chunk_vectors'::regclass and not indisvalid
  and (relname like 'chunk\_vectors\_graph\_cc%' or relname like 'chunk\_vectors\_group\_%')

-- name: build_graph
-- Readers and writers go on meanwhile.
create index concurrently chunk_vectors_graph on chunk_vectors using hnsw (embedding halfvec_ip_ops)

-- name: rebuild_graph
-- A new graph without the dead rows; the old one serves until it is whole.
reindex index concurrently chunk_vectors_graph

-- name: vacuum
-- After the graph was made anew there is little for it to do there.
vacuum (analyze) chunk_vectors

-- name: analyze
-- How many chunks each index holds: by it a search knows which graphs could serve a caller.
analyze chunk_vectors

-- name: progress
-- How far the build is, in rows; of the reading that comes after it nothing is known. Only the login user is told.
select greatest(tuples_done, blocks_done), greatest(tuples_total, blocks_total)
from pg_stat_progress_create_index
where relid = 'chunk_vectors'::regclass
