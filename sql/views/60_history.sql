-- What was published, when, and what it cost.
create or replace view rag.refresh_history with (security_invoker = true) as
select refreshes.*, snapshots.started_at
from rag.refreshes
join rag.snapshots using (snapshot_id);
comment on view rag.refresh_history is 'Every published refresh with its counts.';

-- Tokens and dollars by day, source, model and purpose.
create or replace view rag.usage_by_day with (security_invoker = true) as
select date_trunc('day', at at time zone 'UTC')::date as day, source, model, purpose,
    sum(texts)::bigint as texts, sum(tokens)::bigint as tokens, sum(cost_usd) as cost_usd
from rag.usage_ledger
group by 1, 2, 3, 4;
comment on view rag.usage_by_day is 'What the models were asked and what it cost, by UTC day.';

-- The generations and what they were made with.
create or replace view rag.generation_history with (security_invoker = true) as
select generation, state, model, dimensions, fingerprint, recipe, created_at, published_at
from rag.generations;
comment on view rag.generation_history is 'Every generation of the index: one recipe, one model.';

grant select on rag.refresh_history, rag.usage_by_day, rag.generation_history to rag_analyst, rag_writer;
