-- What a text is found by: one way to read words for documents and questions alike, and what a word weighs.

-- The text-search configuration of a document: what it declares as `language` or `lang` (a name or an ISO 639
-- code, with or without a region), else what its source is set to, where Postgres has that; else the fallback.
create or replace function rag.language(metadata jsonb, fallback text) returns text
language sql stable
set search_path from current
as $$
    select coalesce(
        (
            select known.name
            from (values
                ('arabic', 'ar'), ('armenian', 'hy'), ('basque', 'eu'), ('catalan', 'ca'), ('danish', 'da'),
                ('dutch', 'nl'), ('english', 'en'), ('estonian', 'et'), ('finnish', 'fi'), ('french', 'fr'),
                ('german', 'de'), ('greek', 'el'), ('hindi', 'hi'), ('hungarian', 'hu'), ('indonesian', 'id'),
                ('irish', 'ga'), ('italian', 'it'), ('lithuanian', 'lt'), ('nepali', 'ne'), ('norwegian', 'no'),
                ('norwegian', 'nb'), ('portuguese', 'pt'), ('romanian', 'ro'), ('russian', 'ru'), ('serbian', 'sr'),
                ('spanish', 'es'), ('swedish', 'sv'), ('tamil', 'ta'), ('turkish', 'tr'), ('yiddish', 'yi')
            ) as known (name, code)
            join pg_ts_config on pg_ts_config.cfgname = known.name
                and pg_ts_config.cfgnamespace = 'pg_catalog'::regnamespace
            cross join unnest(array['language', 'lang', 'source_language']) with ordinality as declared (key, number)
            where split_part(replace(lower(metadata ->> declared.key), '_', '-'), '-', 1) in (known.name, known.code)
            order by declared.number
            limit 1
        ),
        fallback
    );
$$;
comment on function rag.language(jsonb, text) is 'Text-search configuration of a document with this metadata.';

-- Signs that join words become blanks, so that Postgres' parser sees words and numbers only: no tags, hosts,
-- paths or signs of numbers. A dot stays between digits: 1.2.3 is one version.
create or replace function rag.words(content text) returns text
language sql immutable parallel safe
as $$
    select regexp_replace(content, '[-_/:@#+<>&=~]+|\.(?![[:digit:]])', ' ', 'g');
$$;
comment on function rag.words(text) is 'The text with the signs inside identifiers as blanks.';

-- Words in their stems, with positions; identifiers whole, in lower case: snake_case, a::b, a.b, x-1, C++; and the
-- parts of camelCase, which the parser leaves whole. Of two words that a hyphen joins only the two are found, as in any
-- prose, unless a digit is in it or another sign of identifiers; and where capitals are an abbreviation (mRNA, IDs)
-- nothing is taken apart: both would be rare words that say little. What is longer than any name is left out.
create or replace function rag.terms(language text, content text) returns tsvector
language sql immutable parallel safe
as $$
    select to_tsvector(language::regconfig, rag.words(content))
        || coalesce((
            select string_agg(format('%L:%s', whole, least(ordinal, 16383)), ' ')::tsvector
            from (
                select lower(found.match[1]) as whole, found.ordinal
                from regexp_matches(
                    content, '(\w+(?:(?:::|->|[-._/@:])\w+)+|(?:\m[[:alpha:]]\w*_\w*)|\m[[:alpha:]](?:\+\+|#))', 'g'
                ) with ordinality as found (match, ordinal)
                where length(found.match[1]) <= 100 and found.match[1] ~ '[^[:alpha:]-]'
            ) as identifiers
        ), '')
        || coalesce((
            select to_tsvector(language::regconfig, string_agg(
                regexp_replace(
                    found.match[1],
                    '([[:lower:]])([[:upper:]])|([[:upper:]])([[:upper:]][[:lower:]]{2})', '\1\3 \2\4', 'g'
                ), ' '
            ))
            from regexp_matches(
                content,
                '([[:alpha:]]*(?:[[:lower:]]{2}[[:upper:]][[:lower:]]|[[:upper:]]{2}[[:lower:]]{2})[[:alpha:]]*)', 'g'
            ) as found (match)
            where length(found.match[1]) <= 100
        ), '');
$$;
comment on function rag.terms(text, text) is 'What a text is found by: stems, whole identifiers and their parts.';

-- What a chunk is found by, as it is what it is embedded with: title, headings, text. Names are cut where no person
-- reads on: a heading of a megabyte is in every chunk below it.
create or replace function rag.found_by(title text, heading_path text[], content text) returns text
language sql immutable parallel safe
as $$
    select left(
        case when title = coalesce(heading_path[1], '') then '' else title || ' ' end
            || array_to_string(heading_path, ' '),
        2000
    ) || ' ' || content;
$$;
comment on function rag.found_by(text, text[], text) is 'The text of a chunk under its title and headings.';

-- How a quoted phrase is found in a text in lower case: letter by letter, save for signs and blanks between words. A
-- pattern is searched several times as quickly as a text is brought into the phrase's form.
create or replace function rag.phrase_pattern(phrase text) returns text
language sql immutable parallel safe
as $$
    select '(^|[^[:alnum:]])'
        || regexp_replace(
            regexp_replace(lower(phrase), '^[^[:alnum:]]+|[^[:alnum:]]+$', '', 'g'), '[^[:alnum:]]+', '[^[:alnum:]]+', 'g'
        )
        || '($|[^[:alnum:]])';
$$;
comment on function rag.phrase_pattern(text)
    is 'A regular expression for the words of a phrase, next to each other, in a text in lower case.';

-- BM25 (Robertson and Zaragoza 2009), k1 1.2 and b 0.75: what a term that occurs this often in a chunk of this
-- length adds to its score, before it is multiplied by the rarity of the term, which is the question's part.
create or replace function rag.term_weight(occurrences int, length int, average real) returns real
language sql immutable parallel safe
as $$
    select (occurrences * 2.2 / (occurrences + 1.2 * (0.25 + 0.75 * length / average)))::real;
$$;
comment on function rag.term_weight(int, int, real) is 'The part of BM25 that belongs to a term in a chunk.';

-- A term's place in a sparse vector: a hash, so that it needs no table and is the same in every index. Of a
-- million terms, one in a thousand shares its place with another.
create or replace function rag.term_place(term text) returns int
language sql immutable parallel safe
as $$
    select (1 + abs(hashtextextended(term, 0) % 1000000000))::int;
$$;
comment on function rag.term_place(text) is 'Index of a term in sparse vectors of a thousand million dimensions.';

-- The places of all terms of a text, sorted.
create or replace function rag.term_places(terms tsvector) returns int[]
language sql immutable parallel safe
set search_path from current
as $$
    select array(select distinct rag.term_place(lexeme) from unnest(terms) order by 1);
$$;
comment on function rag.term_places(tsvector) is 'Where the terms of a text stand in sparse vectors.';

-- All terms of a chunk with their weights: its inner product with the rarities of a question's terms is its score.
create or replace function rag.term_weights(terms tsvector, length int, average real) returns sparsevec
language sql stable parallel safe
set search_path from current
as $$
    select coalesce((
        select ('{' || string_agg(place || ':' || weight, ',') || '}/1000000000')::sparsevec
        from (
            select rag.term_place(lexeme) as place,
                sum(rag.term_weight(coalesce(cardinality(positions), 1), length, average)) as weight
            from unnest(terms)
            group by 1
        ) as weighed
    ), '{}/1000000000'::sparsevec);
$$;
comment on function rag.term_weights(tsvector, int, real) is 'A chunk''s half of its BM25 score.';

-- The average length that weights are computed with: the true one rounded to a power of 1.2. It follows the
-- index by steps, so that it is seldom that all weights change, and depends on nothing but the present index.
create or replace function rag.average_in_force(chunks numeric, length numeric) returns real
language sql immutable
as $$
    select case when chunks > 0 and length > 0 then power(1.2, round(ln(length / chunks) / ln(1.2)))::real else 1 end;
$$;
comment on function rag.average_in_force(numeric, numeric) is 'Average length of chunks, in steps of a fifth.';

-- Only the owner of an index may have its pending entries merged.
create or replace function rag.merge_pending_terms() returns bigint
language sql security definer
set search_path from current
as $$ select gin_clean_pending_list('chunk_terms_by_place'::regclass) $$;
comment on function rag.merge_pending_terms() is 'Merge new entries into the index of terms.';
revoke all on function rag.merge_pending_terms() from public;
grant execute on function rag.merge_pending_terms() to rag_writer;

revoke all on function rag.language(jsonb, text), rag.words(text), rag.terms(text, text),
    rag.found_by(text, text[], text), rag.phrase_pattern(text), rag.term_places(tsvector),
    rag.term_weight(int, int, real), rag.term_place(text), rag.term_weights(tsvector, int, real),
    rag.average_in_force(numeric, numeric) from public;
grant execute on function rag.language(jsonb, text), rag.words(text), rag.terms(text, text),
    rag.found_by(text, text[], text), rag.phrase_pattern(text), rag.term_places(tsvector),
    rag.term_weight(int, int, real), rag.term_place(text), rag.term_weights(tsvector, int, real),
    rag.average_in_force(numeric, numeric) to rag_writer;
