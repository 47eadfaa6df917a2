-- name: lock_budget
-- One run at a time asks what is left and takes of it; released by commit or rollback.
select pg_advisory_xact_lock(hashtextextended('rag-pipeline budget', 0))

-- name: committed
-- Dollars of this month and of a run, spent or perhaps still to be charged. One statement, so that what moves from
-- a reservation into the ledger meanwhile counts once. No request is in flight for an hour.
with month as (
    select date_trunc('month', statement_timestamp() at time zone 'UTC') at time zone 'UTC' as start
),
amounts as (
    -- Two parts, so that each is found by its index, however long the ledger is.
    select true as this_month, run_id, cost_usd, false as reserved
    from rag.usage_ledger
    where cost_usd > 0 and at >= (select start from month)
    union all
    select false, run_id, cost_usd, false
    from rag.usage_ledger
    where cost_usd > 0 and run_id = %(run_id)s and at < (select start from month)
    union all
    select changed_at >= (select start from month) - interval '1 hour', run_id, cost_usd, true
    from rag.budget_reservations
)
select coalesce(sum(cost_usd) filter (where this_month), 0) as month_usd,
    coalesce(sum(cost_usd) filter (where run_id = %(run_id)s), 0) as run_usd,
    coalesce(sum(cost_usd) filter (where this_month and reserved), 0) as in_flight_usd,
    -- Added where months have days, not hours.
    (select (start at time zone 'UTC' + interval '1 month')::date from month) as next_month
from amounts

-- name: reserve
-- The first request of a run: what it may cost at most.
insert into rag.budget_reservations (run_id, source, model, cost_usd)
values (%(run_id)s, %(source)s, %(model)s, %(cost_usd)s)
returning reservation_id

-- name: reserve_more
-- A further request.
update rag.budget_reservations
set cost_usd = cost_usd + %(cost_usd)s, changed_at = clock_timestamp()
where reservation_id = %(reservation_id)s

-- name: settle
-- A request was answered: what it cost is in the ledger now.
update rag.budget_reservations
set cost_usd = greatest(cost_usd - %(cost_usd)s, 0), changed_at = clock_timestamp()
where reservation_id = %(reservation_id)s

-- name: close_reservation
-- Nothing is in flight; a rest too small for a single token is a rounding.
delete from rag.budget_reservations where reservation_id = %(reservation_id)s and cost_usd < 0.00000001
