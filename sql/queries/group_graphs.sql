-- name: groups
-- Who may read more chunks than are quickly compared, and not nearly all of them: their access lists, with the chunks of
-- each, the largest group first. Lists that refuse somebody are left out: not everybody of the group has them.
with sized as materialized (select acl_id, sum(chunks)::bigint as chunks from acl_sizes group by acl_id),
groups as (
    select array_agg(acl_id order by acl_id) as lists, array_agg(chunks order by acl_id) as sizes, sum(chunks) as chunks
    from rag.access_lists
    join sized using (acl_id)
    cross join unnest(allow) as principal
    where deny = '{}'
    group by principal
    having sum(chunks) > %(exact_up_to)s::bigint
       and sum(chunks) < 0.9 * (select chunks from keyword_state)
       and count(*) <= %(most_lists)s::int
)
select lists, sizes
from groups
group by lists, sizes, chunks
order by chunks desc, lists
limit %(most)s::int

-- name: standing
-- The graphs of groups that can be used, each with those of its lists that have chunks.
select relname as name, array(
    select unnest(substring(pg_get_expr(indpred, indrelid) from '\{[0-9,]+\}')::int[]) intersect select acl_id from acl_sizes
) as lists
from pg_index
join pg_class on pg_class.oid = indexrelid
where indrelid = 'chunk_vectors'::regclass and indisvalid and indisready and relname like 'chunk\_vectors\_group\_%'

-- name: look_as_searches_do
-- By the graph over all vectors, as rag.look_around has it.
select set_config('enable_sort', 'off', false), set_config('enable_seqscan', 'off', false),
    set_config('enable_bitmapscan', 'off', false), set_config('hnsw.ef_search', '300', false)

-- name: far_share
-- Some chunks that a group may not read, as questions: the share of them that are near next to nothing that it may read.
with asked as materialized (
    select embedding
    from chunk_vectors
    where not acl_id = any (%(lists)s::int[])
    order by hashint8(chunk_key), chunk_key
    limit 100
)
select coalesce(avg((around.visible < 5)::int), 0)::float8
from asked
cross join lateral (
    select count(*) filter (where near.acl_id = any (%(lists)s::int[])) as visible
    from (select acl_id from chunk_vectors order by embedding <#> asked.embedding limit 300) as near
) as around

-- name: build
-- The statement that makes the graph of a group. Its edges are chosen with more care than those of the graph over all: a
-- question about something else comes from far away, and with the usual care is led to 0.79 of the nearest, not 0.97. Its
-- condition is an expression, because what the planner knows of a column it looks up for every list.
select format(
    'create index concurrently %%I on chunk_vectors using hnsw (embedding halfvec_ip_ops) '
    'with (ef_construction = 200) where acl_id + 0 = any (%%L::int[])',
    'chunk_vectors_group_' || left(md5(%(lists)s::int[]::text), 12), %(lists)s::int[]
)

-- name: rebuild
-- The statement that makes a graph anew without the dead rows.
select format('reindex index concurrently %%I', %(name)s::text)

-- name: drop
-- The statement that drops a graph.
select format('drop index concurrently %%I', %(name)s::text)
