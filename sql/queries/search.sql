-- name: index_state
-- Which generation and model answer, and since when every source in question is confirmed.
select generation, model, as_of from rag.index_state(%(sources)s::text[])

-- name: nearest
-- The nearest chunks that the caller may read, best first; the distance stays in the database.
select chunk_id, document_id, source, uri, title, heading_path, text, "window", modified_at, "position", place
from rag.search_vector(
    %(vector)s, %(model)s, %(principals)s::text[], %(k)s::int,
    %(sources)s::text[], %(modified_since)s::timestamptz, %(where)s::text::jsonb
)
