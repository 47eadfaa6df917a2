-- How good the index was, each time that it was measured.
create or replace view rag.evaluation_history with (security_invoker = true) as
select evaluation_id, at, purpose, run_id, source, generation, model, answered_by, golden_set, set_hash, passed, max_drop, questions,
    scored, recall_at_10, mrr, ndcg_at_10, answer_score, abstention, citation_precision, citation_recall, judge_score,
    latency_p50, latency_p95, tokens, cost_usd
from rag.evaluations;
comment on view rag.evaluation_history is 'Every evaluation with its figures, also of what a closed gate has kept back.';
grant select on rag.evaluation_history to rag_analyst, rag_writer;
