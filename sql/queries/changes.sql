-- name: create_listed
-- What the source holds now, one row a document; lives as long as the session.
create temp table listed (
    document_hash   bytea not null,
    document_id     text not null,
    uri             text not null,
    version         text,
    modified_at     timestamptz,
    size            bigint,
    media_type      text,
    allow           text[],
    deny            text[],
    metadata        jsonb not null,
    failure         text,
    content_hash    bytea,
    declared_access text[]
)

-- name: analyze_listed
-- The planner needs to know how large the listing is before it joins.
analyze listed

-- name: known_versions
-- Each listed document with what was published of it, so that only what may have changed is read.
-- The listings of one id follow each other. What is of another media type now is read again: who may read it
-- may stand where the other parser did not look.
select listed.document_hash, listed.document_id, listed.uri, listed.version, listed.modified_at, listed.size,
    listed.media_type, listed.allow, listed.deny, listed.metadata::text as metadata, listed.failure,
    case
        when documents.version = listed.version and documents.media_type is not distinct from listed.media_type
            then documents.content_hash
    end as content_hash,
    documents.declared_access
from listed
left join documents on documents.document_hash = listed.document_hash
order by listed.document_hash, listed.version, listed.uri

-- name: source_state
-- The state that a diff is computed from: the revision, and how many documents are published.
select coalesce(stands.revision, 0), (select count(*) from documents where documents.source = sources.source) as documents
from rag.sources
left join rag.generation_sources as stands on stands.source = sources.source and stands.generation = %(generation)s
where sources.source = %(source)s

-- name: classify
-- The diff: every listed or published document that is not simply unchanged, with its category.
-- One of which only the version token is new is restamped, so that it need not be read again.
-- A document whose new content is already known not to parse, or to be refused by the model, stays quarantined until
-- it, the parser or the model changes.
create temp table diff as
with published as (
    select documents.*, access_lists.allow, access_lists.deny
    from documents
    join rag.access_lists using (acl_id)
    where documents.source = %(source)s
),
compared as (
    select
        coalesce(listed.document_hash, published.document_hash) as document_hash,
        published.doc_key,
        coalesce(listed.document_id, published.document_id) as document_id,
        listed.uri,
        listed.version,
        listed.modified_at,
        listed.size,
        case when listed.document_hash is null then published.media_type else listed.media_type end as media_type,
        case when listed.document_hash is null then published.content_hash else listed.content_hash end as content_hash,
        listed.declared_access,
        listed.allow,
        listed.deny,
        published.allow as old_allow,
        published.deny as old_deny,
        listed.metadata,
        coalesce(listed.failure, quarantine.reason) as failure,
        case
            when listed.document_hash is null then 'absent'
            when listed.failure is not null or quarantine.document_hash is not null then 'quarantined'
            when published.doc_key is null then 'added'
            when %(everything)s
                or listed.content_hash <> published.content_hash
                or listed.media_type is distinct from published.media_type then 'changed'
            when listed.allow <> published.allow or listed.deny <> published.deny then 'access_changed'
            when (listed.uri, listed.modified_at, listed.size, listed.metadata, listed.declared_access)
                is distinct from (
                    published.uri, published.modified_at, published.size, published.metadata, published.declared_access
                ) then 'metadata_changed'
            when listed.version is distinct from published.version then 'restamped'
            else 'unchanged'
        end as category
    from listed
    full join published on published.document_hash = listed.document_hash
    left join rag.quarantine
        on quarantine.generation = %(generation)s
        and quarantine.document_hash = listed.document_hash
        and quarantine.content_hash = listed.content_hash
        and quarantine.parser_version = %(parser_version)s
        and coalesce(quarantine.refused_by, %(model)s) = %(model)s
        and not %(everything)s
        and listed.content_hash is distinct from published.content_hash
)
select *, null::text as previous_id
from compared
where category <> 'unchanged'

-- name: find_moves
-- A lost document and a new one of the same content are one document that moved: pairs in the order of their ids.
with gone as (
    select doc_key, document_id, content_hash, media_type, old_allow, old_deny,
        row_number() over (partition by content_hash, media_type order by document_id) as nth
    from diff
    where category = 'absent'
),
found as (
    select document_hash, content_hash, media_type,
        row_number() over (partition by content_hash, media_type order by document_id) as nth
    from diff
    where category = 'added'
),
moves as (
    select found.document_hash, gone.*
    from found
    join gone on gone.content_hash = found.content_hash and gone.nth = found.nth
        and gone.media_type is not distinct from found.media_type
),
renamed as (
    update diff
    set category = 'moved', doc_key = moves.doc_key, previous_id = moves.document_id,
        old_allow = moves.old_allow, old_deny = moves.old_deny
    from moves
    where diff.document_hash = moves.document_hash
    returning diff.doc_key
)
delete from diff using renamed where diff.doc_key = renamed.doc_key and diff.category = 'absent'

-- name: find_restored
-- A new document that was lost before, with the same content, is restored.
update diff set category = 'restored'
from rag.tombstones
where diff.category = 'added'
  and tombstones.document_hash = diff.document_hash
  and tombstones.content_hash = diff.content_hash

-- name: settle_absent
-- Only a complete listing can say that a document is gone; after an incomplete one it stays as it is.
with kept as (delete from diff where category = 'absent' and not %(complete)s)
update diff set category = 'removed' where category = 'absent' and %(complete)s

-- name: count_changes
-- How many documents each category has, and how many of them would be readable by more people than before.
select category, count(*) as documents,
    count(*) filter (where doc_key is not null and category <> 'removed' and not (
        ('public' = any (old_allow) or allow <@ old_allow) and old_deny <@ deny
    )) as widened
from diff
group by category

-- name: read_changes
-- The changed documents, in a stable order.
select document_hash, doc_key, category, document_id, previous_id, uri, version, modified_at, size, media_type,
    content_hash, declared_access, allow, deny, old_allow, old_deny, metadata::text as metadata, failure
from diff
order by document_id

-- name: open_approval
-- The approval of a kind that is still to be used; there is at most one.
select approval_id, up_to from rag.approvals
where source = %(source)s and kind = %(kind)s and used_at is null
order by approval_id desc
limit 1

-- name: approve
-- A person lets withheld changes through, up to a number, once; what was approved before no longer holds.
with superseded as (
    update rag.approvals set used_at = now()
    where source = %(source)s and kind = %(kind)s and used_at is null
)
insert into rag.approvals (source, kind, up_to) values (%(source)s, %(kind)s, %(up_to)s)

-- name: released_quarantine
-- Quarantined documents that are no longer in question: tried again by this refresh, or gone for certain.
select quarantine.document_hash
from rag.quarantine
left join listed on listed.document_hash = quarantine.document_hash
left join diff on diff.document_hash = quarantine.document_hash
where quarantine.generation = %(generation)s and quarantine.source = %(source)s
  and case when listed.document_hash is null then %(complete)s else diff.category is distinct from 'quarantined' end
