-- name: live_generation
-- The generation that readers see.
select generation, recipe::text, fingerprint, model, dimensions from rag.generations where state = 'live'

-- name: lock_generations
-- Two first refreshes at once make one generation.
select pg_advisory_xact_lock(hashtextextended('rag-pipeline generations', 0))

-- name: text_search_languages
-- What the words of documents can be read with.
select cfgname::text from pg_ts_config where cfgnamespace = 'pg_catalog'::regnamespace order by 1

-- name: announce_generation
-- The schema file reads what it builds from these settings of the transaction.
select set_config('rag.generation', %(generation)s::int::text, true), set_config('rag.dimensions', %(dimensions)s::int::text, true)

-- name: add_generation
-- The first generation is live at once: there is nothing yet that it could be worse than.
insert into rag.generations (generation, recipe, fingerprint, model, dimensions, state, published_at)
values (%(generation)s, %(recipe)s::jsonb, %(fingerprint)s, %(model)s, %(dimensions)s, 'live', now())

-- name: use_generation
-- From here on unqualified names mean the tables of one generation.
select set_config('search_path', %(search_path)s, false)
