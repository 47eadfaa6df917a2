-- name: known_among
-- Those of the given hashes that have a vector already.
select embed_hash from rag.embedding_store where model = %(model)s and embed_hash = any (%(hashes)s)

-- name: known
-- How many texts a model has taken; not counted beyond what matters.
select count(*) from (select from rag.embedding_store where model = %(model)s limit %(most)s) as taken

-- name: create_bought
-- One batch of new vectors on its way into the store.
create temp table bought (model text, embed_hash bytea, embedding halfvec, tokens int)

-- name: keep_bought
-- Another run may have bought the same text meanwhile; the first vector stays. In one order, so that two runs that
-- bought the same texts wait for each other instead of losing a batch to a deadlock.
insert into rag.embedding_store (model, embed_hash, embedding, tokens)
select model, embed_hash, embedding, tokens from bought
order by embed_hash
on conflict (model, embed_hash) do nothing

-- name: clear_bought
-- Ready for the next batch.
truncate bought

-- name: add_usage
-- What a run asked of a model.
insert into rag.usage_ledger (run_id, source, model, purpose, texts, tokens, cost_usd)
values (%(run_id)s, %(source)s, %(model)s, %(purpose)s, %(texts)s, %(tokens)s, %(cost_usd)s)

-- name: keep_sample
-- The first vector of the sample is the one that all later ones are compared with.
insert into rag.embedding_samples (model, answered_as, embedding)
values (%(model)s, %(answered_as)s, %(embedding)s)
on conflict (model) do nothing

-- name: kept_sample
-- What the model gave when it was first used.
select embedding, answered_as from rag.embedding_samples where model = %(model)s
