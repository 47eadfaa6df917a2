-- name: by_day
-- What was asked of models on each UTC day since the first one in the window, days without use included.
with used as (
    select * from rag.usage_by_day where day > (now() at time zone 'UTC')::date - %(days)s::int
)
select days.day::date as day, coalesce(sum(texts), 0)::bigint as texts, coalesce(sum(tokens), 0)::bigint as tokens,
    coalesce(sum(cost_usd), 0) as cost_usd, coalesce(sum(tokens_unpriced), 0)::bigint as tokens_unpriced,
    coalesce(sum(texts_wanted), 0)::bigint as texts_wanted, coalesce(sum(texts_found), 0)::bigint as texts_found,
    coalesce(sum(tokens_saved), 0)::bigint as tokens_saved, coalesce(sum(saved_usd), 0) as saved_usd
from generate_series((select min(day) from used)::timestamp, now() at time zone 'UTC', interval '1 day') as days (day)
left join used on used.day = days.day::date
group by 1
order by 1

-- name: by_source
-- The same by source, the most tokens first.
select source, sum(texts)::bigint as texts, sum(tokens)::bigint as tokens, coalesce(sum(cost_usd), 0) as cost_usd,
    sum(tokens_unpriced)::bigint as tokens_unpriced, sum(texts_wanted)::bigint as texts_wanted,
    sum(texts_found)::bigint as texts_found, sum(tokens_saved)::bigint as tokens_saved,
    coalesce(sum(saved_usd), 0) as saved_usd
from rag.usage_by_day
where day > (now() at time zone 'UTC')::date - %(days)s::int
group by source
order by tokens desc, source

-- name: by_model
-- The same by model.
select model, sum(texts)::bigint as texts, sum(tokens)::bigint as tokens, coalesce(sum(cost_usd), 0) as cost_usd,
    sum(tokens_unpriced)::bigint as tokens_unpriced, sum(texts_wanted)::bigint as texts_wanted,
    sum(texts_found)::bigint as texts_found, sum(tokens_saved)::bigint as tokens_saved,
    coalesce(sum(saved_usd), 0) as saved_usd
from rag.usage_by_day
where day > (now() at time zone 'UTC')::date - %(days)s::int
group by model
order by tokens desc, model
