-- The plans of the statements that a search runs in its two halves; not the search itself. Without numbers of rows,
-- which would count what the caller may not read. Volatile, because a stable function may not explain.
create or replace function rag.search_plan(
    question        text,
    principals      text[],
    query_vector    halfvec default null,
    only_sources    text[] default null,
    media_types     text[] default null,
    uri_prefix      text default null,
    languages       text[] default null,
    modified_since  timestamptz default null,
    modified_until  timestamptz default null,
    confirmed_since timestamptz default null,
    metadata_filter jsonb default null,
    candidates      int default 50,
    exact_up_to     int default 50000
) returns setof text
language plpgsql volatile security definer
set search_path from current
set plan_cache_mode = force_custom_plan
set max_parallel_workers_per_gather = 0
-- What is set below, to plan as the walk of the graph does, ends with the function because it is named here.
set enable_sort = on
set enable_seqscan = on
set enable_bitmapscan = on
set hnsw.iterative_scan = off
as $$
declare
    scope    record;
    half     record;
    depth    constant int := least(greatest(candidates, 1), 1000);
    prefix   constant text := 'explain (costs off) ';
    line     text;
begin
    scope := rag.search_scope(question, principals, only_sources, media_types, uri_prefix, languages, modified_since,
        modified_until, confirmed_since, metadata_filter, exact_up_to);
    if query_vector is not null then
        half := rag.vector_candidates(
            query_vector, scope.lists, scope.documents, scope.keys, scope.visible, exact_up_to, depth
        );
        return next 'vector: ' || half.path;
        if half.path = 'graph' then
            set local enable_sort = off;
            set local enable_seqscan = off;
            set local enable_bitmapscan = off;
            set local hnsw.iterative_scan = relaxed_order;
        end if;
        for line in execute prefix || half.statement
            using query_vector, scope.lists, scope.documents, scope.keys, depth
        loop
            return next '  ' || rag.without_values(line);
        end loop;
        set local enable_sort = on;
        set local enable_seqscan = on;
        set local enable_bitmapscan = on;
    end if;
    half := rag.keyword_candidates(
        coalesce(question, ''), scope.languages, scope.lists, scope.documents, scope.keys, scope.visible, depth
    );
    return next 'keyword: ' || half.path;
    if half.statement is not null then
        for line in execute prefix || half.statement
            using half.rarities, scope.lists, scope.documents, scope.keys, half.wanted, depth
        loop
            return next '  ' || rag.without_values(line);
        end loop;
    end if;
end;
$$;
comment on function rag.search_plan(
    text, text[], halfvec, text[], text[], text, text[], timestamptz, timestamptz, timestamptz, jsonb, int, int
) is 'How Postgres executes the two halves of a search.';

-- A plan quotes vectors, lists and rarities; the last would tell how common a word is in what the caller may not read.
create or replace function rag.without_values(line text) returns text
language sql immutable
as $$ select regexp_replace(line, '''[^'']*''::', '…::', 'g') $$;

comment on function rag.without_values(text) is 'A line of a plan without the values in it.';
revoke all on function rag.without_values(text), rag.search_plan(
    text, text[], halfvec, text[], text[], text, text[], timestamptz, timestamptz, timestamptz, jsonb, int, int
) from public;
grant execute on function rag.search_plan(
    text, text[], halfvec, text[], text[], text, text[], timestamptz, timestamptz, timestamptz, jsonb, int, int
) to rag_reader, rag_writer;
