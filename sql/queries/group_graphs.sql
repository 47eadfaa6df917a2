-- name: groups
-- Who may read more chunks than are quickly compared, and not nearly all of them: their access lists, with the chunks of
-- each, the largest group first. Whoever is in a group reads what is public as well; that alone is a group, too. Lists that
-- refuse somebody are left out: not everybody of the group has them.
with sized as materialized (
    select acl_sizes.acl_id, access_lists.allow, sum(acl_sizes.chunks)::bigint as chunks
    from acl_sizes
    join rag.access_lists on access_lists.acl_id = acl_sizes.acl_id
    where access_lists.deny = '{}'
    group by acl_sizes.acl_id, access_lists.allow
),
everybody as materialized (select acl_id, chunks from sized where 'public' = any (allow)),
members as (
    select principal
    from sized
    cross join unnest(allow) as principal
    group by principal
    having sum(chunks) > %(exact_up_to)s::bigint and count(*) <= %(most_lists)s::int
    order by sum(chunks) desc, principal
    limit 4 * %(most)s::int
),
groups as (
    select array_agg(acl_id order by acl_id) as lists, array_agg(chunks order by acl_id) as sizes, sum(chunks) as chunks
    from (
        select members.principal, sized.acl_id, sized.chunks
        from members
        join sized on members.principal = any (sized.allow)
        union
        select members.principal, everybody.acl_id, everybody.chunks from members cross join everybody
    ) as readable
    group by principal
    having sum(chunks) < 0.9 * (select chunks from keyword_state) and count(*) <= %(most_lists)s::int
)
select lists, sizes
from groups
group by lists, sizes, chunks
order by chunks desc, lists
limit %(most)s::int

-- name: standing
-- The graphs of groups that can be used, each with those of its lists that have chunks, and how many these are.
select relname as name, held.lists, held.sizes
from pg_index
join pg_class on pg_class.oid = indexrelid
cross join lateral (
    select coalesce(array_agg(acl_id), '{}') as lists, coalesce(array_agg(chunks), '{}') as sizes
    from (
        select acl_sizes.acl_id, sum(acl_sizes.chunks)::bigint as chunks
        from unnest(substring(pg_get_expr(indpred, indrelid) from '\{[0-9,]+\}')::int[]) as held (acl_id)
        join acl_sizes on acl_sizes.acl_id = held.acl_id
        group by acl_sizes.acl_id
    ) as sized
) as held
where indrelid = 'chunk_vectors'::regclass and indisvalid and indisready and relname like 'chunk\_vectors\_group\_%'
order by relname

-- name: look_as_searches_do
-- By the graph over all vectors, as rag.look_around has it.
select set_config('enable_sort', 'off', false), set_config('enable_seqscan', 'off', false),
    set_config('enable_bitmapscan', 'off', false), set_config('hnsw.ef_search', '300', false)

-- name: far_share
-- Some chunks that a group may not read, as questions: the share of them that are near next to nothing that it may read.
-- Written out here, because the functions look into the live generation only.
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
