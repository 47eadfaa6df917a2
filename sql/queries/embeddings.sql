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
