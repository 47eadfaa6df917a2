-- name: live_generation
-- The generation that readers see.
select generation, recipe::text, fingerprint, model, dimensions from rag.generations where state = 'live'

-- name: generations
-- All that still have tables, in the order in which they were made.
select generation as number, state, layout, recipe::text as recipe, fingerprint, created_at, retired_at
from rag.generations
where state <> 'dropped'
order by generation

-- name: state_of
-- What a generation is now; nobody changes that until the transaction ends.
select state from rag.generations where generation = %(generation)s for share

-- name: lock_generations
-- Generations are made, published and dropped one after the other.
select pg_advisory_xact_lock(hashtextextended('rag-pipeline generations', 0))

-- name: text_search_languages
-- What the words of documents can be read with.
select cfgname::text from pg_ts_config where cfgnamespace = 'pg_catalog'::regnamespace order by 1

-- name: announce_generation
-- The schema file reads what it builds from these settings of the transaction.
select set_config('rag.generation', %(generation)s::int::text, true), set_config('rag.dimensions', %(dimensions)s::int::text, true)

-- name: next_generation
-- Numbers are not given twice.
select coalesce(max(generation), 0) + 1 from rag.generations

-- name: add_generation
-- The first generation is live at once: there is nothing yet that it could be worse than.
insert into rag.generations (generation, recipe, fingerprint, model, dimensions, layout, state, published_at)
values (
    %(generation)s, %(recipe)s::jsonb, %(fingerprint)s, %(model)s, %(dimensions)s, %(layout)s, %(state)s,
    case when %(state)s = 'live' then now() end
)

-- name: keep_recipe
-- How the model is opened may change while what comes of it does not.
update rag.generations set recipe = %(recipe)s::jsonb where generation = %(generation)s and recipe <> %(recipe)s::jsonb

-- name: use_generation
-- From here on unqualified names mean the tables of one generation.
select set_config('search_path', %(search_path)s, false)

-- name: look_into
-- The same until the end of the transaction, or until another is looked into.
select set_config('search_path', %(search_path)s, true)
