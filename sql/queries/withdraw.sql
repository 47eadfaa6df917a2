-- name: fewer_readers
-- Staged documents that are published and whose readers are not those of the index, by pairs of lists; `lost` are those that
-- their source no longer has, and their second list is null.
select documents.acl_id, own.allow, own.deny, staged.category = 'removed' as lost, staged.digest as staged_digest,
    case when staged.category <> 'removed' then staged.allow end as other_allow,
    case when staged.category <> 'removed' then staged.deny end as other_deny
from staged_documents as staged
join documents using (doc_key)
join rag.access_lists as own on own.acl_id = documents.acl_id
where staged.category = 'removed' or staged.digest <> own.digest
group by 1, 2, 3, 4, 5, 6, 7

-- name: narrow_staged
-- The documents of one pair get the list that both admit.
update documents set acl_id = narrow.acl_id
from staged_documents as staged
cross join rag.access_lists as narrow
where narrow.source = %(source)s and narrow.digest = %(digest)s
  and documents.doc_key = staged.doc_key and documents.acl_id = %(acl_id)s
  and (staged.category = 'removed') = %(lost)s and staged.digest is not distinct from %(staged_digest)s
