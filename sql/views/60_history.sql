-- What was published, when, and what it cost.
create or replace view rag.refresh_history with (security_invoker = true) as
select refreshes.*, snapshots.started_at
from rag.refreshes
join rag.snapshots using (snapshot_id);
comment on view rag.refresh_history is 'Every published refresh with its counts, and its dollars to a billionth.';

-- What was asked of models and of the embedding store, in the columns that the views below sum.
create or replace view rag.usage with (security_invoker = true) as
select at, run_id, source, model, purpose, texts, tokens, cost_usd,
    case when cost_usd is null then tokens else 0 end as tokens_unpriced,
    0::bigint as texts_wanted, 0::bigint as texts_found, 0::bigint as tokens_saved, 0::numeric as saved_usd
from rag.usage_ledger
union all
select at, run_id, source, model, purpose, 0, 0, 0, 0, texts, found, tokens_saved, saved_usd
from rag.store_lookups;
comment on view rag.usage is 'Every request to a model and every look into the embedding store.';

-- Tokens and dollars by day, source, model and purpose.
create or replace view rag.usage_by_day with (security_invoker = true) as
select (at at time zone 'UTC')::date as day, source, model, purpose,
    sum(texts)::bigint as texts, sum(tokens)::bigint as tokens, sum(cost_usd) as cost_usd,
    sum(tokens_unpriced)::bigint as tokens_unpriced, sum(texts_wanted)::bigint as texts_wanted,
    sum(texts_found)::bigint as texts_found, sum(tokens_saved)::bigint as tokens_saved, sum(saved_usd) as saved_usd
from rag.usage
group by 1, 2, 3, 4;
comment on view rag.usage_by_day is 'What the models were asked and what it cost, by UTC day.';

-- The same by month and source.
create or replace view rag.usage_by_source with (security_invoker = true) as
select date_trunc('month', day)::date as month, source,
    sum(texts)::bigint as texts, sum(tokens)::bigint as tokens, sum(cost_usd) as cost_usd,
    sum(tokens_unpriced)::bigint as tokens_unpriced, sum(texts_wanted)::bigint as texts_wanted,
    sum(texts_found)::bigint as texts_found, sum(tokens_saved)::bigint as tokens_saved, sum(saved_usd) as saved_usd
from rag.usage_by_day
group by 1, 2;
comment on view rag.usage_by_source is 'What each source asked of the models and what it cost, by UTC month.';

-- The same by month and model.
create or replace view rag.usage_by_model with (security_invoker = true) as
select date_trunc('month', day)::date as month, model,
    sum(texts)::bigint as texts, sum(tokens)::bigint as tokens, sum(cost_usd) as cost_usd,
    sum(tokens_unpriced)::bigint as tokens_unpriced, sum(texts_wanted)::bigint as texts_wanted,
    sum(texts_found)::bigint as texts_found, sum(tokens_saved)::bigint as tokens_saved, sum(saved_usd) as saved_usd
from rag.usage_by_day
group by 1, 2;
comment on view rag.usage_by_model is 'What each model was asked and what it cost, by UTC month.';

-- The generations and what they were made with.
create or replace view rag.generation_history with (security_invoker = true) as
select generation, state, model, dimensions, fingerprint, recipe, layout, created_at, published_at, retired_at
from rag.generations;
comment on view rag.generation_history is 'Every generation of the index: one recipe, one model.';

grant select on rag.refresh_history, rag.usage, rag.usage_by_day, rag.usage_by_source, rag.usage_by_model, rag.generation_history
    to rag_analyst, rag_writer;
