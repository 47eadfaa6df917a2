-- name: create_wanted
-- The texts that chunks want a vector for.
create temp table wanted (embed_hash bytea not null)

-- name: use_found
-- What is wanted is in use again, so that housekeeping leaves it alone; in one order, so that runs do not lock each other.
with waiting as (
    select store.embed_hash
    from rag.embedding_store as store
    where store.model = %(model)s and store.unused_since is not null
      and exists (select from wanted where wanted.embed_hash = store.embed_hash)
    order by store.embed_hash
    for no key update
)
update rag.embedding_store as store set unused_since = null
from waiting
where store.model = %(model)s and store.embed_hash = waiting.embed_hash

-- name: measure_wanted
-- How many distinct texts are wanted, how many of them the store has, and the tokens that these would be.
select count(*), count(store.embed_hash), coalesce(sum(store.tokens), 0)::bigint
from (select distinct embed_hash from wanted) as wanted
left join rag.embedding_store as store on store.model = %(model)s and store.embed_hash = wanted.embed_hash

-- name: drop_wanted
-- Counted; the texts themselves are streamed.
drop table wanted

-- name: create_counted
-- Missing texts whose tokens were counted, so that none is counted twice.
create temp table counted (embed_hash bytea primary key)

-- name: count_new
-- Those of the given texts that the store does not have and that were not counted yet.
insert into counted
select distinct given.embed_hash
from unnest(%(hashes)s::bytea[]) as given (embed_hash)
where not exists (
    select from rag.embedding_store
    where embedding_store.model = %(model)s and embedding_store.embed_hash = given.embed_hash
)
on conflict do nothing
returning embed_hash

-- name: drop_counted
-- All are counted.
drop table counted

-- name: add_lookup
-- What a run wanted and what the store had of it.
insert into rag.store_lookups (run_id, source, model, purpose, texts, found, tokens_saved, saved_usd)
values (%(run_id)s, %(source)s, %(model)s, %(purpose)s, %(texts)s, %(found)s, %(tokens_saved)s, %(saved_usd)s)
