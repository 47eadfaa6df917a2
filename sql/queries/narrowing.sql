-- name: intern_list
-- The list that admits those only whom both admit.
insert into rag.access_lists (source, allow, deny, digest) values (%(source)s, %(allow)s, %(deny)s, %(digest)s)
on conflict (source, digest) do nothing

-- name: narrow_chunks
-- The chunks of a narrowed document are read by the same.
update chunks set acl_id = documents.acl_id
from documents
where chunks.doc_key = documents.doc_key and chunks.acl_id <> documents.acl_id

-- name: narrow_vectors
-- And found by the same: by their vectors,
update chunk_vectors set acl_id = chunks.acl_id
from chunks
where chunk_vectors.chunk_key = chunks.chunk_key and chunk_vectors.acl_id <> chunks.acl_id

-- name: narrow_terms
-- and by their words.
update chunk_terms set acl_id = chunks.acl_id
from chunks
where chunk_terms.chunk_key = chunks.chunk_key and chunk_terms.acl_id <> chunks.acl_id
