-- name: add
-- One question; the function lets nobody write anything else.
select rag.log_query(
    %(question)s::text, %(principals)s::text[], %(purpose)s::text, %(hits)s::int, %(found)s::text[], %(cited)s::text[],
    %(evidence)s::float8, %(abstained)s::boolean, %(filtered)s::boolean
)

-- name: forget
-- Questions are kept for so many days.
delete from rag.query_log where asked_at < now() - make_interval(days => %(days)s)
