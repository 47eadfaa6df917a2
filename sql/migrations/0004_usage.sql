-- What models cost: exact sums, what is not priced, what is in flight, and what the embedding store saved.

-- Applied anew with the other views; a column that a view shows cannot change its type.
drop view if exists rag.usage_by_day;

-- A text of 20 tokens costs less than a millionth of a dollar.
alter table rag.usage_ledger alter column cost_usd type numeric(18, 9), alter column cost_usd drop not null;
comment on column rag.usage_ledger.cost_usd is 'Dollars at the price in force at that time; null when the price of the model was not known.';
alter table rag.refreshes alter column cost_usd drop not null;
create index usage_ledger_by_time on rag.usage_ledger (at) include (run_id, cost_usd) where cost_usd > 0;
create index usage_ledger_by_run on rag.usage_ledger (run_id) include (cost_usd) where cost_usd > 0;

create table rag.budget_reservations (
    reservation_id bigint generated always as identity primary key,
    run_id         text,
    source         text,
    model          text not null,
    cost_usd       numeric(18, 9) not null check (cost_usd >= 0),
    changed_at     timestamptz not null default clock_timestamp()
);
comment on table rag.budget_reservations is 'What the requests in flight of each run may cost at most; a killed run leaves its row, because it may have been charged.';

create table rag.store_lookups (
    lookup_id    bigint generated always as identity primary key,
    at           timestamptz not null default now(),
    run_id       text,
    source       text,
    model        text not null,
    purpose      text not null,
    texts        bigint not null,
    found        bigint not null check (found between 0 and texts),
    tokens_saved bigint not null,
    saved_usd    numeric(18, 9)
);
create index store_lookups_by_time on rag.store_lookups (at);
comment on table rag.store_lookups is 'How many distinct texts each run wanted vectors of, how many the embedding store had, and what that saved.';

grant select, insert, update, delete on rag.budget_reservations, rag.store_lookups to rag_writer;
grant select on rag.budget_reservations, rag.store_lookups to rag_analyst;
