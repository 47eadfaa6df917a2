-- name: index_state
-- Which generation and model answer, how that is opened, and since when every source in question is confirmed.
select generation, model, embedding, as_of from rag.index_state(%(sources)s::text[])

-- name: sample
-- By what the model of a generation is known again, if that is still live; nulls for a model of files.
select answered_as, sample::real[] from rag.index_state() where generation = %(generation)s

-- name: search
-- The candidates of both searches that the caller may read, best first, and one row more, of layers only.
select chunk_id, document_id, source, uri, title, heading_path, text, "window", modified_at, "position", place, stale, version,
    window_position, vector_rank, keyword_rank, score, shingles, layers
from rag.search(
    %(question)s::text, %(principals)s::text[], %(wanted)s::int, %(vector)s, %(model)s::text, %(sources)s::text[],
    %(media_types)s::text[], %(uri_prefix)s::text, %(languages)s::text[], %(modified_since)s::timestamptz,
    %(modified_until)s::timestamptz, %(confirmed_since)s::timestamptz, %(where)s::text::jsonb, %(fusion)s::text,
    %(vector_weight)s::float8, %(candidates)s::int, %(exact_up_to)s::int, true
)

-- name: search_plan
-- How Postgres executes the two halves of a search, line by line.
select line
from rag.search_plan(
    %(question)s::text, %(principals)s::text[], %(vector)s, %(sources)s::text[], %(media_types)s::text[],
    %(uri_prefix)s::text, %(languages)s::text[], %(modified_since)s::timestamptz, %(modified_until)s::timestamptz,
    %(confirmed_since)s::timestamptz, %(where)s::text::jsonb, %(candidates)s::int, %(exact_up_to)s::int
) as line

-- name: window
-- The section of a chunk and those around it, in order.
select document_id, source, uri, title, modified_at, stale, heading_path, text, "position", is_hit, hit_start, hit_end,
    earlier, later
from rag."window"(%(chunk_id)s::text, %(principals)s::text[], %(before)s::int, %(after)s::int)

-- name: may_read
-- Whether chunks are still there, and the caller may read all of them.
select rag.may_read(%(chunk_ids)s::text[], %(principals)s::text[])

-- name: answer_seal
-- What the kept answers of a caller are sealed with.
select rag.answer_seal(%(principals)s::text[])

-- name: deployment
-- Which database this is, of all that there are: what is kept for it elsewhere is named by it. A replica says the same.
select format('%s/%s', system_identifier, oid) as deployment
from pg_control_system(), pg_database where datname = current_database()
