-- name: add
-- One question; the function lets nobody write anything else.
select rag.log_query(
    %(question)s::text, %(principals)s::text[], %(purpose)s::text, %(hits)s::int, %(found)s::text[], %(cited)s::text[],
    %(evidence)s::float8, %(abstained)s::boolean, %(filtered)s::boolean
)

-- name: forget
-- Questions are kept for so many days.
delete from rag.query_log where asked_at < now() - make_interval(days => %(days)s)

-- name: asked
-- The questions of the last days in their spellings, who asked them, what was found, and how often nothing good was.
with recent as (
    select * from rag.query_log where asked_at >= now() - make_interval(days => %(days)s)
),
chunks as (
    select question, named.chunk_id, count(*) filter (where named.is_cited) as cited, count(*) filter (where not named.is_cited) as found
    from recent
    cross join lateral (
        select unnest(recent.cited), true
        union all
        select unnest(recent.found[1:3]), false
    ) as named (chunk_id, is_cited)
    group by question, named.chunk_id
),
counted as (
    select question,
        jsonb_object_agg(chunk_id, cited) filter (where cited > 0) as cited,
        jsonb_object_agg(chunk_id, found) filter (where found > 0) as found
    from chunks
    group by question
)
select question,
    count(*) as asked,
    coalesce(array_agg(distinct asker) filter (where asker is not null), '{}') as askers,
    count(*) filter (where asker is null) as nameless,
    count(*) filter (
        where not filtered and (hits = 0 or coalesce(abstained, false) or coalesce(evidence, 0) < %(min_evidence)s)
    ) as in_vain,
    count(*) filter (where not filtered and abstained) as declined,
    count(*) filter (where not filtered and not abstained) as answered,
    max(asked_at) as last_asked,
    coalesce(counted.cited, '{}') as cited,
    coalesce(counted.found, '{}') as found
from recent
left join counted using (question)
group by question, counted.cited, counted.found

-- name: sections_without_question
-- One section of each document that the caller may read, none that a place named already covers, in an order that
-- follows from their names alone.
with lists as materialized (select rag.visible_acl_ids(%(principals)s::text[]) as acl_id),
covered as (
    select * from jsonb_to_recordset(%(covered)s::jsonb) as place (source text, document text, section text[])
),
one_each as (
    select distinct on (documents.doc_key)
        documents.source, documents.document_id, documents.title, sections.heading_path, sections.text,
        md5(documents.source || ' ' || documents.document_id) as turn
    from documents
    join sections using (doc_key)
    where documents.acl_id in (select acl_id from lists)
      and char_length(sections.text) >= %(least)s
      and not exists (
          select from covered
          where covered.source = documents.source
            and covered.document = documents.document_id
            and sections.heading_path[1:cardinality(covered.section)] = covered.section
      )
    order by documents.doc_key, md5(encode(sections.section_id, 'hex'))
)
select source, document_id, title, heading_path, text
from one_each
order by turn
limit %(limit)s
