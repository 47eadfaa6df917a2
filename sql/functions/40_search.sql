-- The search: the one way to chunks for rag_reader. It runs with the owner's rights on a pinned search_path, takes on
-- whose behalf it runs as an argument, and applies that before anything is ranked. Both halves and the reading of
-- what they found are one statement of the caller's, so that they see one state of the index.
--
-- Without a query vector it is a keyword search, without words a vector search. Each half brings its best
-- `candidates`; every candidate is then given its exact score in both, and the two are fused: `convex` adds the
-- scores, each less its mean and divided by its standard deviation over the candidates, with a weight (Bruch, Gai and
-- Ingber 2023); `reciprocal_rank` adds 1 / (60 + rank), with the same weight (Cormack, Clarke and Büttcher 2009). The
-- score is comparable within one search only. With `explain` one more row, whose chunk_id is null, says in `layers`
-- which ways the search took and how long they were.
create or replace function rag.search(
    question        text,
    principals      text[],
    k               int default 10,
    query_vector    halfvec default null,
    query_model     text default null,
    only_sources    text[] default null,
    media_types     text[] default null,
    uri_prefix      text default null,
    languages       text[] default null,
    modified_since  timestamptz default null,
    modified_until  timestamptz default null,
    confirmed_since timestamptz default null,
    metadata_filter jsonb default null,
    fusion          text default 'convex',
    vector_weight   float8 default 0.65,
    candidates      int default 50,
    exact_up_to     int default 50000,
    explain         boolean default false
) returns table (
    chunk_id        text,
    document_id     text,
    source          text,
    uri             text,
    title           text,
    heading_path    text[],
    text            text,
    "window"        text,
    modified_at     timestamptz,
    "position"      int,
    place           jsonb,
    stale           boolean,
    version         text,
    window_position int,
    shingles        bytea,
    vector_rank     int,
    keyword_rank    int,
    score           float8,
    layers          jsonb
)
language plpgsql stable security definer
set search_path from current
set plan_cache_mode = force_generic_plan -- to plan anew with thousands of lists takes longer than to read what was found
set max_parallel_workers_per_gather = 0
as $$
#variable_conflict use_column
declare
    own        int := substr(current_schema(), 6);
    live_model text := (select generations.model from rag.generations where generations.generation = own and generations.state = 'live');
    depth      int := least(greatest(candidates, 1), 1000);
    moments    timestamptz[] := array[clock_timestamp()];
    scope      record;
    nearest    record;
    matching   record;
begin
    -- These functions read one generation, and an old snapshot may know it unfinished only.
    if live_model is null then
        perform rag.refuse_other_generation();
    end if;
    if query_vector is not null and query_model is distinct from live_model then
        raise exception 'the query was embedded with %, the index with %',
            coalesce(query_model, 'an unnamed model'), live_model
            using hint = 'Use the model of the index, or publish a generation of the other model.',
                  errcode = 'invalid_parameter_value';
    end if;
    if fusion not in ('convex', 'reciprocal_rank') then
        raise exception 'there is no fusion %; there are convex and reciprocal_rank', fusion
            using errcode = 'invalid_parameter_value';
    end if;
    scope := rag.search_scope(question, principals, only_sources, media_types, uri_prefix, languages, modified_since,
        modified_until, confirmed_since, metadata_filter, exact_up_to);
    moments := moments || clock_timestamp();
    nearest := rag.vector_candidates(
        query_vector, scope.lists, scope.documents, scope.keys, scope.visible, exact_up_to, depth
    );
    moments := moments || clock_timestamp();
    matching := rag.keyword_candidates(
        coalesce(question, ''), scope.languages, scope.lists, scope.documents, scope.keys, scope.visible, depth
    );
    moments := moments || clock_timestamp();
    return query
    with near as (
        select found.chunk_key, found.score, found.rank::int
        from unnest(nearest.chunk_keys, nearest.scores) with ordinality as found (chunk_key, score, rank)
    ),
    worded as (
        select found.chunk_key, found.score, found.rank::int
        from unnest(matching.chunk_keys, matching.scores) with ordinality as found (chunk_key, score, rank)
    ),
    united as (
        select
            chunk_key,
            near.rank as vector_rank,
            worded.rank as keyword_rank,
            coalesce(near.score, -(chunk_vectors.embedding <#> query_vector)) as nearness,
            coalesce(worded.score, -(chunk_terms.weights <#> matching.rarities), 0) as relevance
        from near
        full join worded using (chunk_key)
        left join chunk_vectors using (chunk_key)
        left join chunk_terms using (chunk_key)
    ),
    -- Once, not for each candidate.
    spread as materialized (
        select avg(nearness) as usual_nearness, nullif(stddev_pop(nearness), 0) as nearness_spread,
            avg(relevance) as usual_relevance, nullif(stddev_pop(relevance), 0) as relevance_spread
        from united
    ),
    fused as (
        select
            chunk_key,
            vector_rank,
            keyword_rank,
            case
                when fusion = 'reciprocal_rank' then
                    coalesce(vector_weight / (60 + vector_rank), 0)
                    + coalesce((1 - vector_weight) / (60 + keyword_rank), 0)
                else
                    case when query_vector is null then 0 else vector_weight end
                        * coalesce((nearness - usual_nearness) / nearness_spread, 0)
                    + case when query_vector is null then 1 else 1 - vector_weight end
                        * coalesce((relevance - usual_relevance) / relevance_spread, 0)
            end as score
        from united
        cross join spread
    ),
    best as (
        select fused.*, chunks.doc_key, chunks.section_id, chunks.local_id, documents.document_hash
        from fused
        join chunks using (chunk_key)
        join documents on documents.doc_key = chunks.doc_key
        order by fused.score desc, documents.document_hash, chunks.local_id
        limit least(greatest(k, 0), 1000)
    )
    select
        encode(documents.document_hash, 'hex') || '-' || encode(chunks.local_id, 'hex'),
        documents.document_id,
        documents.source,
        documents.uri,
        documents.title,
        sections.heading_path,
        chunks.text,
        sections.text,
        documents.modified_at,
        start.at + chunks.start_offset,
        coalesce(documents.places -> encode(chunks.local_id, 'hex'), '{}'),
        confirmed.stale,
        encode(documents.content_hash, 'hex'),
        start.at,
        chunks.shingles,
        best.vector_rank,
        best.keyword_rank,
        best.score,
        null::jsonb
    from best
    join chunks using (chunk_key)
    join sections on sections.doc_key = best.doc_key and sections.section_id = best.section_id
    join documents on documents.doc_key = best.doc_key
    cross join lateral (
        select documents.section_starts[array_position(documents.section_ids, sections.section_id)] as at
    ) as start
    join rag.confirmed_sources(only_sources) as confirmed on confirmed.source = documents.source
    -- Both halves admitted them by their own copies of the list.
    where chunks.acl_id = any (scope.lists) and documents.acl_id = any (scope.lists)
    order by best.score desc, best.document_hash, best.local_id;
    -- Another generation became live while this ran, and some of what it called read that one.
    if rag.own_generation() <> own then
        perform rag.refuse_other_generation();
    end if;
    if explain then
        moments := moments || clock_timestamp();
        layers := jsonb_build_object(
            -- Of the sources that hold something for this caller: of others not even the age is told.
            'as_of', (
                select state.as_of
                from rag.index_state(array(
                    select sources.source
                    from rag.sources
                    where exists (
                        select from rag.access_lists
                        where access_lists.source = sources.source
                          and (access_lists.acl_id in (select unnest(scope.lists))) is true
                    )
                )) as state
            ),
            'visible_chunks', scope.visible,
            'languages', to_jsonb(scope.languages),
            'note', scope.note,
            -- How well the best of what is visible speaks to the question, whatever else is in the index.
            'evidence', jsonb_build_object(
                'nearness', nearest.scores[1],
                -- Each word counts the same: how rare it is would tell of what the caller may not read.
                'coverage', (
                    with asked as materialized (
                        select spoken, rag.term_places(rag.terms(spoken, coalesce(question, ''))) as places
                        from unnest(scope.languages) as spoken
                    )
                    select max(
                        (select count(*) from unnest(asked.places) as place where place = any (chunk_terms.places))
                        / nullif(cardinality(asked.places), 0)::float8
                    )
                    from asked
                    join chunk_terms on chunk_terms.language = asked.spoken
                    where chunk_terms.chunk_key = any (nearest.chunk_keys[1:10] || matching.chunk_keys[1:10])
                )
            ),
            'scope', jsonb_build_object('milliseconds', rag.milliseconds(moments[1], moments[2])),
            'vector', jsonb_build_object(
                'path', nearest.path, 'found', cardinality(nearest.chunk_keys),
                'milliseconds', rag.milliseconds(moments[2], moments[3])
            ),
            'keyword', jsonb_build_object(
                'path', matching.path, 'found', cardinality(matching.chunk_keys),
                'milliseconds', rag.milliseconds(moments[3], moments[4])
            ),
            'fusion', jsonb_build_object(
                'path', fusion,
                'found', (select count(*) from (
                    select unnest(nearest.chunk_keys) union select unnest(matching.chunk_keys)
                ) as united),
                'milliseconds', rag.milliseconds(moments[4], moments[5])
            )
        );
        return next;
    end if;
end;
$$;
comment on function rag.search(
    text, text[], int, halfvec, text, text[], text[], text, text[], timestamptz, timestamptz, timestamptz, jsonb, text,
    float8, int, int, boolean
) is 'The best chunks by words and meaning that a caller with these principals may read, with their windows.';

create or replace function rag.milliseconds(since timestamptz, until timestamptz) returns float8
language sql immutable
as $$ select round(extract(epoch from until - since) * 1000, 3)::float8 $$;

comment on function rag.milliseconds(timestamptz, timestamptz) is 'Milliseconds between two moments.';
revoke all on function rag.milliseconds(timestamptz, timestamptz), rag.search(
    text, text[], int, halfvec, text, text[], text[], text, text[], timestamptz, timestamptz, timestamptz, jsonb, text,
    float8, int, int, boolean
) from public;
grant execute on function rag.search(
    text, text[], int, halfvec, text, text[], text[], text, text[], timestamptz, timestamptz, timestamptz, jsonb, text,
    float8, int, int, boolean
) to rag_reader, rag_writer;
