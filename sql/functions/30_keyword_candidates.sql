-- The best chunks by BM25. The inner product of a chunk's weights with the rarities of the question's terms is its
-- score; whether those without its rarer words can be among the best follows from bounds (MaxScore: Turtle and Flood
-- 1995), so that the common words of a question are not looked up.

-- A question's terms, as places, with their rarity. In all of the languages, because a question does not say which
-- it is in; its first forty in each. Which they are must not depend on the index: it would tell whether a word is
-- in what the caller may not read.
create or replace function rag.question_terms(question text, languages text[])
returns table (place int, df bigint, rarity real)
language sql stable
set search_path from current
as $$
    select lexicon.place, lexicon.df,
        ln(1 + (keyword_state.chunks - lexicon.df + 0.5) / (lexicon.df + 0.5))::real
    from (
        select distinct rag.term_place(first.lexeme) as place
        from unnest(languages) as language
        cross join lateral (
            select lexeme from unnest(rag.terms(language, question)) order by positions[1], lexeme limit 40
        ) as first
    ) as asked
    join lexicon on lexicon.place = asked.place
    cross join keyword_state
    order by lexicon.df, lexicon.place;
$$;

-- How many of the words, rarest first, are in no more chunks together than a budget says; at least one.
create or replace function rag.words_within(dfs bigint[], budget bigint) returns int
language sql immutable
as $$
    select greatest(1, count(*)::int)
    from (
        select sum(df) over (order by number) as together
        from unnest(dfs) with ordinality as word (df, number)
    ) as summed
    where together <= budget;
$$;
comment on function rag.words_within(bigint[], bigint) is 'How many of the rarest words a budget admits.';
revoke all on function rag.words_within(bigint[], bigint) from public;

-- The chunks, best first, among those of these access lists and, where they are not null, documents and keys.
-- `visible` is how many chunks that is, at most. Scores are exact always. Which chunks are scored is exact where few
-- are visible, or the index is small; on a large one a question of common words would read a good part of it, and then
-- those that have one of its rarer words are scored: of as many words as have `affordable` entries in the index
-- together, or some more where a part of the chunks is visible. The answer is `complete` if no other chunk can score
-- more. The path may be shown to the caller: it depends on nothing but what is visible. The statement, with its two
-- own parameters, is for `search_plan`.
create or replace function rag.keyword_candidates(
    question text, languages text[], lists int[], documents bigint[], keys bigint[], visible bigint, depth int,
    affordable bigint default 7500,
    out chunk_keys bigint[], out scores float8[], out path text, out complete boolean, out rarities sparsevec,
    out wanted int[], out statement text
)
language plpgsql stable
set search_path from current
set max_parallel_workers_per_gather = 0
as $$
declare
    few         constant bigint := 4000;   -- chunks that are scored as quickly as looked up
    small       constant bigint := 15000;  -- chunks of an index of which all may be looked up
    most_weight constant real := 2.2;      -- what no term weighs more than in any chunk
    total       bigint := (select greatest(chunks, 1) from keyword_state);
    places      int[];
    bounds      real[];
    dfs         bigint[];
    taken       int;
    threshold   real;
    -- A chunk's score is computed once; not again for the result, or to leave out those without any of the words.
    -- Where much is visible it is found by its words alone: no index has the expression, and the planner would read
    -- half of the table by its lists, for a single word.
    narrowed    text := 'select chunk_key, -distance as score from ('
        || 'select chunk_key, weights <#> $1 as distance from chunk_terms where '
        || case when visible > total / 4 then 'acl_id + 0' else 'acl_id' end || ' = any($2)'
        || case when documents is null then '' else ' and doc_key = any($3)' end
        || case when keys is null then '' else ' and chunk_key = any($4)' end;
    ordered     constant text := ' order by distance, chunk_key limit $6) as best where distance < 0';
begin
    chunk_keys := '{}';
    scores := '{}';
    path := case when visible <= few or keys is not null then 'every visible chunk scored'
        else 'chunks of the rarer words scored' end;
    complete := true;
    select array_agg(place), array_agg(rarity * most_weight), array_agg(df),
        ('{' || string_agg(place || ':' || rarity, ',') || '}/1000000000')::sparsevec
    into places, bounds, dfs, rarities
    from rag.question_terms(question, languages);
    if places is null then
        return;
    end if;
    if visible > few and keys is null then
        taken := case when total <= small then cardinality(places)
            else rag.words_within(dfs, (affordable / (0.25 + least(1, visible::float8 / total)))::bigint) end;
        wanted := places[1:taken];
        narrowed := narrowed || ' and places && $5';
    end if;
    statement := narrowed || ordered;
    execute 'select coalesce(array_agg(chunk_key order by score desc, chunk_key), ''{}''), '
        || 'coalesce(array_agg(score order by score desc, chunk_key), ''{}'') from (' || statement || ') as found'
    into chunk_keys, scores using rarities, lists, documents, keys, wanted, depth;
    if taken < cardinality(places) then
        -- What have only the other words score less than this. Weights and rarities are rounded, so a little less.
        threshold := case when cardinality(scores) < depth then 0 else scores[depth] * 0.9999 - 0.0001 end;
        complete := threshold >= (select sum(bound) from unnest(bounds[taken + 1:]) as bound);
    end if;
end;
$$;
comment on function rag.question_terms(text, text[]) is 'The terms of a question, with their rarity.';
comment on function rag.keyword_candidates(text, text[], int[], bigint[], bigint[], bigint, int, bigint)
    is 'The best chunks by BM25 within a scope.';
revoke all on function rag.question_terms(text, text[]),
    rag.keyword_candidates(text, text[], int[], bigint[], bigint[], bigint, int, bigint) from public;
