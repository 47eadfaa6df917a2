-- The access lists of a refresh, each distinct one kept once a source: written before the documents that refer to them.

-- name: find_whole_lists
-- When every document of a list gets the same new list, which nobody has yet, the list itself can change: one row
-- instead of every chunk below it. Lists belong to one source, and its publisher holds the lock.
create temp table whole_lists on commit drop as
with wanted as (
    select documents.acl_id, min(staged_documents.digest) as digest, count(*) as documents
    from staged_documents
    join documents using (doc_key)
    group by documents.acl_id
    having count(distinct staged_documents.digest) = 1 and count(*) = count(staged_documents.digest)
)
select distinct on (wanted.digest) wanted.acl_id, wanted.digest
from wanted
join rag.access_lists using (acl_id)
where access_lists.digest <> wanted.digest
  and wanted.documents = (select count(*) from documents where documents.acl_id = wanted.acl_id)
  and not exists (
      select from rag.access_lists as taken
      where taken.source = access_lists.source and taken.digest = wanted.digest
  )
  and not exists (select from rag.quarantine where quarantine.acl_id = wanted.acl_id)
order by wanted.digest, wanted.acl_id

-- name: keep_lists
-- Run in the tables of every other generation: a list must not change in place when one of its documents there does not get
-- the same new list, or has other content there, which the new readers need not be allowed to read.
delete from whole_lists
where exists (
    select from documents
    left join staged_documents on staged_documents.document_hash = documents.document_hash
    where documents.acl_id = whole_lists.acl_id
      and (staged_documents.digest, staged_documents.content_hash) is distinct from (whole_lists.digest, documents.content_hash)
)

-- name: change_shared_lists
-- The lists of which that is true in every generation.
update rag.access_lists
set allow = staged.allow, deny = staged.deny, digest = staged.digest
from whole_lists
cross join lateral (
    select allow, deny, digest from staged_documents where staged_documents.digest = whole_lists.digest limit 1
) as staged
where access_lists.acl_id = whole_lists.acl_id

-- name: intern_access_lists
-- Each distinct access list is kept once a source.
insert into rag.access_lists (source, allow, deny, digest)
select distinct on (digest) %(source)s, allow, deny, digest
from staged_documents
where digest is not null and not exists (
    select from rag.access_lists
    where access_lists.source = %(source)s and access_lists.digest = staged_documents.digest
)

-- name: resolve_access_lists
-- From here on a list is one integer.
update staged_documents set acl_id = access_lists.acl_id
from rag.access_lists
where access_lists.source = %(source)s and access_lists.digest = staged_documents.digest
