-- The nearest chunks to a vector. Up to a bound of visible chunks all of them are compared; above it the graph index
-- is walked until enough visible ones are found, or the graphs of the groups that the caller is in. The planner is not
-- asked: it does not know how a filter and nearness go together.

-- Whether the generation has a graph index that can be used.
create or replace function rag.vector_graph() returns boolean
language sql stable
set search_path from current
as $$
    select exists (
        select from pg_index where indexrelid = to_regclass('chunk_vectors_graph') and indisvalid and indisready
    );
$$;

-- Walk the graph until so many chunks are found that the statement admits. Every other way to an order is closed to
-- the planner; the rows come nearly in order.
create or replace function rag.walk_graph(
    statement text, query halfvec, lists int[], documents bigint[], keys bigint[], depth int,
    out chunk_keys bigint[], out scores float8[]
)
language plpgsql stable
set search_path from current
set enable_sort = off
set enable_seqscan = off
set enable_bitmapscan = off
set max_parallel_workers_per_gather = 0
set hnsw.iterative_scan = relaxed_order
set hnsw.max_scan_tuples = 40000
set hnsw.ef_search = 200
as $$
begin
    execute 'select array_agg(chunk_key order by score desc, chunk_key), '
        || 'array_agg(score order by score desc, chunk_key) from (' || statement || ') as found'
    into chunk_keys, scores using query, lists, documents, keys, depth;
end;
$$;

-- What is visible of the chunks nearest to a vector, of all. `near` says whether any is: if none, because the caller's
-- rights follow topics and the question is about another one, a walk would end far from the nearest visible chunks.
create or replace function rag.look_around(
    query halfvec, lists int[], documents bigint[], out chunk_keys bigint[], out scores float8[], out near boolean
)
language plpgsql stable
set search_path from current
set enable_sort = off
set enable_seqscan = off
set enable_bitmapscan = off
set max_parallel_workers_per_gather = 0
set hnsw.ef_search = 300
as $$
begin
    select
        array_agg(found.chunk_key order by found.score desc, found.chunk_key),
        array_agg(found.score order by found.score desc, found.chunk_key),
        count(*) >= 5
    into chunk_keys, scores, near
    from (
        select chunk_key, doc_key, acl_id, -(embedding <#> query) as score
        from chunk_vectors
        order by embedding <#> query
        limit 300
    ) as found
    where found.acl_id in (select unnest(lists)) and (documents is null or found.doc_key in (select unnest(documents)));
end;
$$;

-- Walk the graphs of single groups whose lists the caller has, all but a few. `rest` are the lists that no such graph holds;
-- they are still to be compared. It is null where they hold more than may be compared, and where the walks brought too little.
create or replace function rag.walk_groups(
    query halfvec, lists int[], visible bigint, exact_up_to bigint, depth int,
    out chunk_keys bigint[], out scores float8[], out rest int[], out statement text
)
language plpgsql stable
set search_path from current
as $$
declare
    graphs record;
    walked record;
begin
    -- What a graph holds is what its index says, so that nothing else can be wrong about it. Most callers are told apart by
    -- the number of chunks, or by a few lists.
    with graph as materialized (
        select indpred, indrelid, sum(reltuples) over () as chunks
        from pg_index
        join pg_class on pg_class.oid = indexrelid
        where indrelid = 'chunk_vectors'::regclass and indisvalid and indisready
          and relname like 'chunk\_vectors\_group\_%'
    ),
    held as materialized (
        select whole.condition, substring(whole.condition from '\{[0-9,]+\}')::int[] as lists
        from graph
        cross join lateral (select pg_get_expr(graph.indpred, graph.indrelid) as condition) as whole
        where visible - 1.1 * graph.chunks <= exact_up_to
    ),
    admitted as materialized (
        select held.condition, held.lists, hidden.lists as hidden
        from held
        -- What has left the group since the graph was made. A list without chunks is none that matters.
        cross join lateral (
            select coalesce(array_agg(gone.acl_id), '{}') as lists, coalesce(sum(acl_sizes.chunks), 0) as chunks
            from (select unnest(held.lists) as acl_id except select unnest(walk_groups.lists)) as gone
            join acl_sizes on acl_sizes.acl_id = gone.acl_id
        ) as hidden
        where 20 * hidden.chunks <= visible and (
            select count(*) from unnest(held.lists[1:20]) as first where first = any (walk_groups.lists)
        ) >= 0.75 * least(cardinality(held.lists), 20)
    )
    select array_agg(admitted.condition) as conditions,
        array(select unnest(admitted.hidden) from admitted) as hidden,
        array(select unnest(walk_groups.lists) except select unnest(admitted.lists) from admitted) as rest
    into graphs
    from admitted;
    if graphs.conditions is null or (
        select sum(acl_sizes.chunks) from acl_sizes where acl_sizes.acl_id in (select unnest(graphs.rest))
    ) > exact_up_to then
        return;
    end if;
    for number in 1 .. cardinality(graphs.conditions) loop
        statement := 'select chunk_key, -(embedding <#> $1) as score from chunk_vectors where ' || graphs.conditions[number]
            || ' and acl_id + 0 <> all($2) order by embedding <#> $1 limit $5';
        -- The first two hundred come in order, more of them do not.
        walked := rag.walk_graph(
            statement, query, graphs.hidden, null, null, case when depth <= 200 then depth else 4 * depth end
        );
        chunk_keys := chunk_keys || walked.chunk_keys;
        scores := scores || walked.scores;
    end loop;
    -- The index may have been dropped since the snapshot was taken, or hold little but what is deleted.
    if cardinality(chunk_keys) >= depth then
        rest := graphs.rest;
    end if;
end;
$$;

-- The chunks, best first, with the inner product as score; parameters as of keyword_candidates. Never by reading the
-- whole table: each row would be compared with thousands of lists.
create or replace function rag.vector_candidates(
    query halfvec, lists int[], documents bigint[], keys bigint[], visible bigint, exact_up_to bigint, depth int,
    out chunk_keys bigint[], out scores float8[], out path text, out statement text
)
language plpgsql stable
set search_path from current
set max_parallel_workers_per_gather = 0
set min_parallel_index_scan_size = 0 -- the index that leads to the vectors is small, and they are not
set parallel_setup_cost = 0
set enable_seqscan = off
as $$
declare
    around       record;
    group_keys   bigint[];
    group_scores float8[];
    rest         int[];
    narrowed     constant text := ' from chunk_vectors where acl_id = any($2)'
        || case when documents is null then '' else ' and doc_key = any($3)' end
        || case when keys is null then '' else ' and chunk_key = any($4)' end;
begin
    chunk_keys := '{}';
    scores := '{}';
    path := 'no vector';
    if query is null then
        return;
    end if;
    path := 'every visible chunk compared';
    if visible > exact_up_to and keys is null and rag.vector_graph() then
        path := 'graph';
        select walked.chunk_keys, walked.scores, walked.rest, walked.statement
        into group_keys, group_scores, rest, statement
        from rag.walk_groups(query, lists, visible, exact_up_to, depth) as walked
        where documents is null;
        if rest is null then
            group_keys := null;
            group_scores := null;
            around := rag.look_around(query, lists, documents);
            chunk_keys := around.chunk_keys;
            scores := around.scores;
            statement := 'select chunk_key, -(embedding <#> $1) as score' || narrowed
                || ' order by embedding <#> $1 limit $5';
            if around.near and cardinality(chunk_keys) < 2 * depth then
                -- The walk ends with the first that it meets, and the nearest are among the first few hundred.
                select * into chunk_keys, scores
                from rag.walk_graph(statement, query, lists, documents, keys, greatest(200, 4 * depth));
            end if;
            if around.near and cardinality(chunk_keys) >= depth then
                chunk_keys := chunk_keys[1:depth];
                scores := scores[1:depth];
                return;
            end if;
            -- The path is still called 'graph': another name would tell that what is near may not be read.
            perform set_config('max_parallel_workers_per_gather', '2', true);
        end if;
    end if;
    if rest is null or rest <> '{}' then
        -- Computed once for each chunk; the sum is not the index's expression, so the index cannot be used.
        statement := 'select chunk_key, -distance as score'
            || ' from (select chunk_key, (embedding <#> $1) + 0::float8 as distance' || narrowed
            || ' order by distance, chunk_key limit $5) as nearest';
        execute 'select array_agg(chunk_key order by score desc, chunk_key), '
            || 'array_agg(score order by score desc, chunk_key) from (' || statement || ') as found'
        into chunk_keys, scores using query, coalesce(rest, lists), documents, keys, depth;
    end if;
    select coalesce(array_agg(best.chunk_key order by best.score desc, best.chunk_key), '{}'),
        coalesce(array_agg(best.score order by best.score desc, best.chunk_key), '{}')
    into chunk_keys, scores
    from (
        select found.chunk_key, found.score from unnest(chunk_keys, scores) as found (chunk_key, score)
        union
        select found.chunk_key, found.score from unnest(group_keys, group_scores) as found (chunk_key, score)
        order by score desc, chunk_key
        limit depth
    ) as best;
end;
$$;

comment on function rag.vector_graph() is 'Whether the generation has a graph index that can be used.';
comment on function rag.walk_graph(text, halfvec, int[], bigint[], bigint[], int)
    is 'Run a statement by the graph index alone.';
comment on function rag.look_around(halfvec, int[], bigint[]) is 'What is visible of the chunks nearest to a vector.';
revoke all on function rag.look_around(halfvec, int[], bigint[]) from public;
comment on function rag.walk_groups(halfvec, int[], bigint, bigint, int)
    is 'The nearest chunks in the graphs of single groups, and the lists that are in none.';
revoke all on function rag.walk_groups(halfvec, int[], bigint, bigint, int) from public;
comment on function rag.vector_candidates(halfvec, int[], bigint[], bigint[], bigint, bigint, int)
    is 'The nearest chunks to a vector within a scope.';
revoke all on function rag.vector_graph(), rag.walk_graph(text, halfvec, int[], bigint[], bigint[], int),
    rag.vector_candidates(halfvec, int[], bigint[], bigint[], bigint, bigint, int) from public;
