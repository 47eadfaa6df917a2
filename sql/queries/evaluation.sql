-- name: standing
-- Of documents that questions expect, in the order given: whether the generation has them, whether this caller may read
-- them, whether they are waiting in quarantine instead, and when they were removed.
select
    documents.doc_key is not null as present,
    coalesce(documents.acl_id = any (array(select rag.visible_acl_ids(%(principals)s::text[]))), false) as readable,
    quarantine.document_hash is not null as quarantined,
    tombstones.removed_at,
    exists (
        select from rag.generation_sources
        where generation_sources.generation = %(generation)s and generation_sources.source = asked.source
          and generation_sources.snapshot_id is not null
    ) as source_published
from unnest(%(hashes)s::bytea[], %(sources)s::text[]) with ordinality as asked (document_hash, source, number)
left join documents using (document_hash)
left join rag.quarantine on quarantine.document_hash = asked.document_hash and quarantine.generation = %(generation)s
left join rag.tombstones on tombstones.document_hash = asked.document_hash
order by asked.number

-- name: record
-- What an evaluation found, for evaluation_history and for whoever looks into a gate that was closed.
insert into rag.evaluations (
    purpose, run_id, source, generation, model, answered_by, golden_set, set_hash, passed, max_drop, questions, scored,
    recall_at_10, mrr, ndcg_at_10, answer_score, abstention, citation_precision, citation_recall, judge_score,
    latency_p50, latency_p95, tokens, cost_usd, fell, results
) values (
    %(purpose)s, %(run_id)s, %(source)s, %(generation)s, %(model)s, %(answered_by)s, %(golden_set)s, %(set_hash)s,
    %(passed)s, %(max_drop)s, %(questions)s, %(scored)s, %(recall_at_10)s, %(mrr)s, %(ndcg_at_10)s, %(answer_score)s,
    %(abstention)s, %(citation_precision)s, %(citation_recall)s, %(judge_score)s, %(latency_p50)s, %(latency_p95)s,
    %(tokens)s, %(cost_usd)s, %(fell)s::text[], %(results)s::text::jsonb
)
returning evaluation_id

-- name: recorded
-- What was written down of one evaluation.
select set_hash, model, answered_by, results from rag.evaluations where evaluation_id = %(evaluation_id)s

-- name: forget_old_results
-- Figures stay; what was found and answered, which may be out of somebody's reach by now, does not stay for ever.
update rag.evaluations set results = null
where results is not null and at < now() - make_interval(days => %(keep_days)s)

-- name: create_trial
-- A schema for functions that search a generation before it is live; it never outlives its transaction.
create schema rag_trial

-- name: open_trial
-- For whoever publishes, as the functions themselves are.
grant usage on schema rag_trial to rag_writer

-- name: create_generations
-- The functions answer from a live generation only. They are told by a table of their own which that is, because a row of
-- the real one that is written in a transaction keeps all that publish waiting for its end.
create table rag_trial.generations (like rag.generations)

-- name: try_generations
-- As it would be.
insert into rag_trial.generations overriding system value
select (jsonb_populate_record(generations, jsonb_build_object('state', case
    when generations.generation = %(generation)s then 'live'
    when generations.generation = %(live)s then 'retired'
    else generations.state
end))).*
from rag.generations
