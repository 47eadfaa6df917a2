-- What the index was measured by, how good it was, and which publications a closed gate has kept back.

create table rag.evaluations (
    evaluation_id      bigint generated always as identity primary key,
    at                 timestamptz not null default now(),
    purpose            text not null check (purpose in ('eval', 'refresh', 'migration')),
    run_id             text,
    source             text,
    generation         int references rag.generations,
    model              text not null,
    answered_by        text,
    golden_set         text not null,
    set_hash           text not null,
    passed             boolean,
    max_drop           float8,
    questions          int not null,
    scored             int not null,
    recall_at_10       float8,
    mrr                float8,
    ndcg_at_10         float8,
    answer_score       float8,
    abstention         float8,
    citation_precision float8,
    citation_recall    float8,
    judge_score        float8,
    latency_p50        float8,
    latency_p95        float8,
    tokens             bigint not null,
    cost_usd           numeric(18, 9) not null,
    fell               text[],
    results            jsonb
);
create index evaluations_by_time on rag.evaluations (at) where results is not null;
comment on table rag.evaluations is 'Every evaluation of the index, also of candidates that were not published.';
comment on column rag.evaluations.passed is 'Null where there was no baseline; false: the candidate of a refresh or migration was not published.';
comment on column rag.evaluations.fell is 'Questions whose scores fell below the baseline''s, most first.';
comment on column rag.evaluations.results is 'Of each question what was found and answered; null once it is older than [workspace] keep_days.';

grant select, insert, update, delete on rag.evaluations to rag_writer;
-- Not the questions, nor what was found: a caller may read them whom an analyst is not.
grant select (
    evaluation_id, at, purpose, run_id, source, generation, model, answered_by, golden_set, set_hash, passed, max_drop, questions,
    scored, recall_at_10, mrr, ndcg_at_10, answer_score, abstention, citation_precision, citation_recall, judge_score,
    latency_p50, latency_p95, tokens, cost_usd
) on rag.evaluations to rag_analyst;
