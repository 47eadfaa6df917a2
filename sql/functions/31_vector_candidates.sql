-- The nearest chunks to a vector. Up to a bound of visible chunks all of them are compared; above it the graph index
-- is walked until enough visible ones are found. The planner is not asked: it does not know how a filter and
-- nearness go together.

-- Whether the generation has a graph index that can be used.
create or replace function rag.vector_graph() returns boolean
language sql stable
set search_path from current
as $$
    select exists (
        select from pg_index where indexrelid = to_regclass('chunk_vectors_graph') and indisvalid and indisready
    );
$$;

-- Walk the graph; every other way to an order is closed. The rows come nearly in order.
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
    execute 'select array_agg(chunk_key order by score desc, chunk_key), array_agg(score order by score desc, chunk_key) from ('
        || statement || ') as found'
    into chunk_keys, scores using query, lists, documents, keys, depth;
end;
$$;

-- Whether the question lies among what is visible: some of the chunks nearest to it, of all, are. If none is, because the
-- caller's rights follow topics and the question is about another one, a walk ends far from the nearest visible chunks.
create or replace function rag.near_visible(query halfvec, lists int[]) returns boolean
language sql stable
set search_path from current
set enable_sort = off
set enable_seqscan = off
set enable_bitmapscan = off
set max_parallel_workers_per_gather = 0
set hnsw.ef_search = 200
as $$
    select count(*) >= 5
    from (select acl_id from chunk_vectors order by embedding <#> query limit 200) as near
    where near.acl_id in (select unnest(lists));
$$;

-- The chunks, best first, with the inner product as score; parameters as of keyword_candidates.
create or replace function rag.vector_candidates(
    query halfvec, lists int[], documents bigint[], keys bigint[], visible bigint, exact_up_to bigint, depth int,
    out chunk_keys bigint[], out scores float8[], out path text, out statement text
)
language plpgsql stable
set search_path from current
set max_parallel_workers_per_gather = 0
as $$
declare
    narrowed text := 'select chunk_key, -(embedding <#> $1) as score from chunk_vectors where acl_id = any($2)'
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
    end if;
    if path = 'graph' and rag.near_visible(query, lists) then
        statement := narrowed || ' order by embedding <#> $1 limit $5';
        -- The walk ends with the first that it meets, and the nearest are among the first few hundred.
        select * into chunk_keys, scores from rag.walk_graph(statement, query, lists, documents, keys, greatest(200, 4 * depth));
        if cardinality(chunk_keys) >= depth then
            chunk_keys := chunk_keys[1:depth];
            scores := scores[1:depth];
            return;
        end if;
    end if;
    -- It remains the path 'graph': another would tell that what is near may not be read.
    if path = 'graph' then
        perform set_config('max_parallel_workers_per_gather', '2', true);
    end if;
    -- The sum is not the index's expression, so the index cannot be used.
    statement := narrowed || ' order by (embedding <#> $1) + 0::float8, chunk_key limit $5';
    execute 'select array_agg(chunk_key order by score desc, chunk_key), array_agg(score order by score desc, chunk_key) from ('
        || statement || ') as found'
    into chunk_keys, scores using query, lists, documents, keys, depth;
    chunk_keys := coalesce(chunk_keys, '{}');
    scores := coalesce(scores, '{}');
end;
$$;

comment on function rag.vector_graph() is 'Whether the generation has a graph index that can be used.';
comment on function rag.walk_graph(text, halfvec, int[], bigint[], bigint[], int) is 'Run a statement by the graph index alone.';
comment on function rag.near_visible(halfvec, int[]) is 'Whether a vector lies among the chunks of these access lists.';
revoke all on function rag.near_visible(halfvec, int[]) from public;
comment on function rag.vector_candidates(halfvec, int[], bigint[], bigint[], bigint, bigint, int)
    is 'The nearest chunks to a vector within a scope.';
revoke all on function rag.vector_graph(), rag.walk_graph(text, halfvec, int[], bigint[], bigint[], int),
    rag.vector_candidates(halfvec, int[], bigint[], bigint[], bigint, bigint, int) from public;
