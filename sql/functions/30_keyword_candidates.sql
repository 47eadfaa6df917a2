-- The best chunks by BM25, exactly, without looking at every chunk that has a word of the question: MaxScore
-- (Turtle and Flood 1995) by sets of terms. The inner product of a chunk's weights with the question's rarities is
-- its score. A lower bound of the last score that counts comes from the chunks of the rarest terms; after that only
-- such sets of terms are asked of the index as together can exceed it.

-- A question's terms with their rarity, and the most that each can add to a score; at most forty, the rarest. In all
-- of the languages, because a question does not say which it is in.
create or replace function rag.question_terms(question text, languages text[])
returns table (term text, df bigint, rarity real, bound real)
language sql stable
set search_path from current
as $$
    select weighed.term, weighed.df, weighed.rarity, weighed.rarity * weighed.max_weight
    from (
        select lexicon.term, lexicon.df, lexicon.max_weight,
            ln(1 + (keyword_state.chunks - lexicon.df + 0.5) / (lexicon.df + 0.5))::real as rarity
        from (
            select distinct lexeme from unnest(languages) as language cross join lateral unnest(rag.terms(language, question))
        ) as asked
        join lexicon on lexicon.term = asked.lexeme
        cross join keyword_state
    ) as weighed
    order by weighed.df, weighed.term
    limit 40;
$$;

-- The sets of terms, as a query, of which at least one is whole in every chunk that scores more than the threshold.
-- `bounds` are what each term adds at most, largest first; sets are made of the first eight terms, and what the rest
-- can add together counts for each of them. Null: no chunk can.
create or replace function rag.sets_above(terms text[], bounds real[], threshold real) returns tsquery
language plpgsql immutable
as $$
declare
    head    int := least(cardinality(terms), 8);
    rest    real := coalesce((select sum(bound) from unnest(bounds[9:]) as bound), 0);
    reach   real;
    least_bound real;
    parts   text[] := '{}';
    part    text;
begin
    -- A set counts if it reaches above the threshold and would not without its smallest member.
    for members in 1 .. (1 << head) - 1 loop
        reach := rest;
        part := '';
        for i in 1 .. head loop
            if members & (1 << (i - 1)) <> 0 then
                reach := reach + bounds[i];
                least_bound := bounds[i];
                part := part || '&' || format('%L', terms[i]);
            end if;
        end loop;
        if reach > threshold and reach - least_bound <= threshold then
            parts := parts || ltrim(part, '&');
        end if;
    end loop;
    -- If the rest alone reaches above it, so do chunks without any of the first eight: of the rest, smallest first,
    -- as many are left out as together stay below.
    reach := 0;
    if rest > threshold then
        for i in reverse cardinality(terms) .. head + 1 loop
            reach := reach + bounds[i];
            if reach > threshold then
                parts := parts || format('%L', terms[i]);
            end if;
        end loop;
        for i in 1 .. head loop
            parts := parts || format('%L', terms[i]);
        end loop;
    end if;
    return nullif(array_to_string(parts, '|'), '')::tsquery;
end;
$$;

-- The chunks, best first, among those of these access lists and, where they are not null, documents and keys.
-- `visible` is how many chunks that is, at most. The statement, with its two own parameters, is for `search_plan`.
create or replace function rag.keyword_candidates(
    question text, languages text[], lists int[], documents bigint[], keys bigint[], visible bigint, depth int,
    out chunk_keys bigint[], out scores float8[], out path text, out rarities sparsevec, out wanted tsquery,
    out statement text
)
language plpgsql stable
set search_path from current
set max_parallel_workers_per_gather = 0
as $$
declare
    few        constant int := 2000;
    total      bigint := (select chunks from keyword_state);
    terms      text[];
    bounds     real[];
    dfs        bigint[];
    narrowed   text := ' where acl_id = any($2)'
        || case when documents is null then '' else ' and doc_key = any($3)' end
        || case when keys is null then '' else ' and chunk_key = any($4)' end;
    probe      bigint;
    asked      bigint := 0;
    rarest     text[] := '{}';
    threshold  real := 0;
begin
    chunk_keys := '{}';
    scores := '{}';
    path := 'no word of the question is in the index';
    with asked_terms as (select * from rag.question_terms(question, languages))
    select array_agg(term order by bound desc, term), array_agg(bound order by bound desc, term),
        array_agg(df order by bound desc, term),
        (select ('{' || string_agg(place || ':' || rarity, ',') || '}/1000000000')::sparsevec
         from (select rag.term_place(term) as place, sum(rarity) as rarity from asked_terms group by 1) as placed)
    into terms, bounds, dfs, rarities
    from asked_terms;
    if terms is null or visible = 0 then
        return;
    end if;
    if visible <= few or keys is not null then
        path := 'every visible chunk scored';
    else
        path := 'sets of terms above a threshold';
        -- Among the chunks of the rarest terms, as many as hold enough visible ones, the score of the last that counts.
        probe := least(40000, 4000 * greatest(1, total / visible));
        select coalesce(array_agg(term), '{}') into rarest
        from (
            select term, sum(df) over (order by df, term) as together, row_number() over (order by df, term) as number
            from unnest(terms, dfs) as asked_terms (term, df)
        ) as counted
        where together <= probe or number = 1;
        statement := 'select score from (select -(weights <#> $1) as score from chunk_terms' || narrowed
            || ' and terms @@ $5 limit $6) as probed order by score desc offset $7 limit 1';
        execute statement into threshold using rarities, lists, documents, keys,
            (select string_agg(format('%L', term), '|') from unnest(rarest) as term)::tsquery, probe, depth - 1;
        -- Weights and rarities are rounded, so a little less.
        threshold := greatest(0, coalesce(threshold, 0) * 0.9999 - 0.0001);
        wanted := rag.sets_above(terms, bounds, threshold);
    end if;
    statement := 'select chunk_key, -(weights <#> $1) as score from chunk_terms' || narrowed
        || case when wanted is null then '' else ' and terms @@ $5' end
        || ' and (weights <#> $1) < 0 order by weights <#> $1, chunk_key limit $6';
    execute 'select array_agg(chunk_key order by score desc, chunk_key), array_agg(score order by score desc, chunk_key) from ('
        || statement || ') as found'
    into chunk_keys, scores using rarities, lists, documents, keys, wanted, depth;
    chunk_keys := coalesce(chunk_keys, '{}');
    scores := coalesce(scores, '{}');
end;
$$;

comment on function rag.question_terms(text, text[]) is 'The terms of a question, with their rarity and the most that each adds.';
comment on function rag.sets_above(text[], real[], real) is 'Sets of terms of which a chunk above a threshold holds at least one.';
comment on function rag.keyword_candidates(text, text[], int[], bigint[], bigint[], bigint, int)
    is 'The best chunks by BM25 within a scope.';
revoke all on function rag.question_terms(text, text[]), rag.sets_above(text[], real[], real),
    rag.keyword_candidates(text, text[], int[], bigint[], bigint[], bigint, int) from public;
