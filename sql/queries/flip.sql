-- name: lock_sources
-- Nobody publishes while the generations change; taken in one order, given back at the commit.
select count(pg_advisory_xact_lock(hashtextextended('rag-pipeline publish ' || source, 0)))
from (select source from rag.sources order by source) as sources

-- name: do_not_wait_long
-- Readers of the views would queue up behind a flip that waits for one of them, and every publication behind a drop.
select set_config('lock_timeout', '3s', true)

-- name: unready
-- Sources that the live generation has and the other has not, or in an earlier state.
select live.source, live.snapshot_id as live_snapshot, other.snapshot_id as snapshot
from rag.generation_sources as live
left join rag.generation_sources as other on other.source = live.source and other.generation = %(generation)s
where live.generation = %(live)s and live.snapshot_id is not null
  and not coalesce(
      other.snapshot_id is not null
          and (other.equals_revision = live.revision or (other.equals_revision is null and other.snapshot_id >= live.snapshot_id)),
      false
  )
order by live.source

-- name: note_published
-- What readers see now, asked of the live generation, to compare another with it.
create temp table live_documents on commit drop as
select documents.source, documents.document_hash, documents.document_id, documents.uri, documents.content_hash,
    documents.media_type, documents.modified_at, documents.size, documents.metadata, access_lists.acl_id,
    access_lists.allow, access_lists.deny
from documents
join rag.access_lists using (acl_id)

-- name: analyze_generation
-- Its tables were filled at once, and the first searches should not be planned as if they were empty.
analyze documents, sections, chunks, chunk_vectors, chunk_terms, lexicon, acl_sizes

-- name: analyze_published
-- Joined with all documents of the other generation.
analyze live_documents

-- name: index_published
-- And looked up one by one where access is narrowed.
create index on live_documents (document_hash)

-- name: violations
-- What keeps the other generation from being published, counted in its own tables: holes, and differences from what readers
-- see in the sources that it should equal.
with following as (
    select other.source
    from rag.generation_sources as other
    join rag.generation_sources as live on live.source = other.source and live.generation = %(live)s
    where other.generation = %(generation)s and other.equals_revision = live.revision
),
own as (
    select documents.* from documents join following using (source)
),
expected as (
    select live_documents.* from live_documents join following using (source)
),
compared as (
    select
        count(*) filter (where own.document_hash is null and not unreadable.known) as missing,
        count(*) filter (where own.document_hash is null and unreadable.known) as unreadable,
        count(*) filter (where expected.document_hash is null) as ghosts,
        count(*) filter (where own.document_hash is not null and expected.document_hash is not null and (
            own.acl_id <> expected.acl_id
            -- Of what cannot be read there the last good version stays, as it was.
            or not unreadable.known and (
                own.document_id, own.uri, own.media_type, own.modified_at, own.size, own.metadata, own.content_hash
            ) is distinct from (
                expected.document_id, expected.uri, expected.media_type, expected.modified_at, expected.size,
                expected.metadata, expected.content_hash
            )
        )) as different
    from own
    full join expected on expected.document_hash = own.document_hash
    cross join lateral (
        select exists (
            select from rag.quarantine
            where quarantine.generation = %(generation)s and quarantine.document_hash = expected.document_hash
        ) as known
    ) as unreadable
),
held as (
    select
        count(*) filter (where chunk_vectors.chunk_key is null) as without_vector,
        count(*) filter (where chunk_terms.chunk_key is null) as without_terms,
        count(*) filter (where chunks.acl_id <> documents.acl_id or chunk_vectors.acl_id <> chunks.acl_id
            or chunk_terms.acl_id <> chunks.acl_id) as other_access
    from chunks
    join documents using (doc_key)
    left join chunk_vectors using (chunk_key)
    left join chunk_terms using (chunk_key)
),
counted as (
    select
        (select count(*) from documents) as documents,
        (select coalesce(sum(cardinality(section_ids)), 0) from documents) as sections_announced,
        (select count(*) from sections) as sections,
        (select count(*) from chunks) as chunks,
        (select count(*) from chunk_vectors) as vectors,
        (select count(*) from chunk_terms) as terms,
        (select chunks from keyword_state) as terms_counted,
        (select coalesce(sum(chunks), 0) from acl_sizes) as admitted,
        (select coalesce(sum(df), 0) from lexicon) as occurrences,
        (select coalesce(sum(cardinality(places)), 0) from chunk_terms) as places
)
select violation, times, lasting
from compared
cross join held
cross join counted
cross join lateral (values
    ('documents that are missing', missing, true),
    ('documents that readers have now and this generation cannot read', unreadable, false),
    ('documents that are no longer published', ghosts, true),
    ('documents that differ', different, true),
    ('chunks without a vector', without_vector, true),
    ('chunks without terms', without_terms, true),
    ('chunks, vectors or terms of another access than their document', other_access, true),
    ('sections more or fewer than their documents have', abs(sections - sections_announced), true),
    ('vectors more or fewer than chunks', abs(vectors - chunks), true),
    ('terms more or fewer than chunks', abs(terms - chunks), true),
    ('chunks more or fewer than are counted', abs(terms_counted - terms) + abs(admitted - terms), true),
    ('words more or fewer than are counted', abs(occurrences - places), true)
) as found (violation, times, lasting)
where times > 0

-- name: note_unreadable
-- And what cannot be read there, with those who might.
insert into live_documents (source, document_hash, acl_id, allow, deny)
select quarantine.source, quarantine.document_hash, quarantine.acl_id, access_lists.allow, access_lists.deny
from rag.quarantine
join rag.access_lists on access_lists.acl_id = quarantine.acl_id
where quarantine.generation = %(live)s
  and not exists (select from live_documents where live_documents.document_hash = quarantine.document_hash)

-- name: narrower
-- Documents of the generation that is to be live whose readers are not those of the live one, by pairs of lists, in the
-- sources in which it may be behind that; of a document that readers do not see now the second list is null. Only what is
-- built can be known not to be behind: listings are numbered as they begin, and not published in that order always.
with behind as (
    select other.source
    from rag.generation_sources as other
    join rag.generation_sources as live on live.source = other.source and live.generation = %(live)s
    join rag.generations on generations.generation = other.generation
    where other.generation = %(generation)s and live.snapshot_id is not null and not coalesce(
        other.equals_revision = live.revision
            or (generations.state = 'building' and other.equals_revision is null and other.snapshot_id >= live.snapshot_id),
        false
    )
)
select documents.source, documents.acl_id, own.allow, own.deny,
    live_documents.acl_id as live_acl_id, live_documents.allow as other_allow, live_documents.deny as other_deny
from documents
join behind using (source)
join rag.access_lists as own using (acl_id)
left join live_documents on live_documents.document_hash = documents.document_hash
where live_documents.acl_id is distinct from documents.acl_id
group by 1, 2, 3, 4, 5, 6, 7

-- name: narrow_documents
-- Whoever could not read a document a moment ago cannot read an older version of it now.
update documents set acl_id = narrow.acl_id
from rag.access_lists as narrow
where narrow.source = %(source)s and narrow.digest = %(digest)s
  and documents.source = %(source)s and documents.acl_id = %(acl_id)s
  and (
      select live_documents.acl_id from live_documents where live_documents.document_hash = documents.document_hash
  ) is not distinct from %(live_acl_id)s::int

-- name: set_state
-- Live since now, or retired since now; building has neither.
update rag.generations set
    state = %(state)s,
    published_at = case when %(state)s = 'live' then now() else published_at end,
    retired_at = case when %(state)s = 'retired' then now() end
where generation = %(generation)s

-- name: forget_equality
-- From here on none is known to equal the live one: the revisions of another are counted otherwise.
update rag.generation_sources set equals_revision = null where equals_revision is not null

-- name: ties
-- The statements that end the references of a generation's tables to others.
select format('alter table rag_g%%s.%%I drop constraint %%I', %(generation)s::int, own.relname, conname)
from pg_constraint
join pg_class as own on own.oid = conrelid
join pg_class as other on other.oid = confrelid
where contype = 'f' and own.relnamespace = to_regnamespace(format('rag_g%%s', %(generation)s::int))
  and other.relnamespace <> own.relnamespace
order by 1

-- name: drop_schema
-- The statement that frees the tables of a generation.
select format('drop schema if exists rag_g%%s cascade', %(generation)s::int)

-- name: forget_sources
-- A dropped generation is in no state.
delete from rag.generation_sources where generation = %(generation)s

-- name: forget_quarantine
-- And what it could not read is of no interest.
delete from rag.quarantine where generation = %(generation)s

-- name: as_of
-- Since when a generation is confirmed: its oldest source.
select case when bool_and(snapshots.started_at is not null) then min(snapshots.started_at) end
from rag.generation_sources
left join rag.snapshots on snapshots.snapshot_id = generation_sources.confirmed_id
where generation_sources.generation = %(generation)s and generation_sources.snapshot_id is not null
