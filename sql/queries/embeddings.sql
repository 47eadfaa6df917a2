-- name: create_wanted
-- The texts that chunks want a vector for; one row a distinct text.
create temp table wanted (embed_hash bytea not null)

-- name: count_missing
-- How many distinct wanted texts the store has no vector of: what a run will embed.
select count(distinct wanted.embed_hash)
from wanted
where not exists (
    select from rag.embedding_store
    where embedding_store.model = %(model)s and embedding_store.embed_hash = wanted.embed_hash
)

-- name: drop_wanted
-- Counted; the texts themselves are streamed.
drop table wanted

-- name: known_among
-- Those of the given hashes that have a vector already.
select embed_hash from rag.embedding_store where model = %(model)s and embed_hash = any (%(hashes)s)

-- name: create_bought
-- One batch of new vectors on its way into the store.
create temp table bought (model text, embed_hash bytea, embedding halfvec, tokens int)

-- name: keep_bought
-- Another run may have bought the same text meanwhile; the first vector stays.
insert into rag.embedding_store (model, embed_hash, embedding, tokens)
select model, embed_hash, embedding, tokens from bought
on conflict (model, embed_hash) do nothing

-- name: clear_bought
-- Ready for the next batch.
truncate bought

-- name: add_usage
-- What a run asked of a model.
insert into rag.usage_ledger (run_id, source, model, purpose, texts, tokens, cost_usd)
values (%(run_id)s, %(source)s, %(model)s, %(purpose)s, %(texts)s, %(tokens)s, %(cost_usd)s)
