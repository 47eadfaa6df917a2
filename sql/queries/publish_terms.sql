-- What the chunks of a refresh are found by, after the chunks themselves and in the same transaction. The counts of
-- words belong to all sources, so from the first change of a term on publishers wait for each other.

-- name: stage_terms
-- The terms of the chunks of new and changed documents, and of those whose language is another now. Title and headings
-- are read with every chunk, as they are embedded with it.
insert into staged_terms (chunk_key, doc_key, acl_id, language, terms, length)
select found.chunk_key, found.doc_key, found.acl_id, found.language, found.terms,
    (select coalesce(sum(coalesce(cardinality(positions), 1)), 0) from unnest(found.terms))
from (
    select chunks.chunk_key, chunks.doc_key, chunks.acl_id, documents.language,
        rag.terms(documents.language, rag.found_by(documents.title, sections.heading_path, chunks.text)) as terms
    from staged_documents as staged
    join documents using (doc_key)
    join chunks using (doc_key)
    join sections using (doc_key, section_id)
    where staged.category in ('added', 'restored', 'changed') or (
        staged.category in ('moved', 'metadata_changed', 'access_changed')
        and exists (
            select from chunk_terms
            where chunk_terms.doc_key = documents.doc_key and chunk_terms.language <> documents.language
        )
    )
    offset 0
) as found

-- name: delete_stale_terms
-- Terms of chunks that are gone, and those that are not as they should be. From here on other publishers wait.
delete from chunk_terms using staged_documents as staged
where chunk_terms.doc_key = staged.doc_key and (
    not exists (select from chunks where chunks.chunk_key = chunk_terms.chunk_key)
    or exists (
        select from staged_terms as new
        where new.chunk_key = chunk_terms.chunk_key
          and ((new.language, new.length) is distinct from (chunk_terms.language, chunk_terms.length)
               or chunk_terms.places <> rag.term_places(new.terms)
               or chunk_terms.weights <> rag.term_weights(new.terms, new.length, (select average from keyword_state)))
    )
)

-- name: lock_keywords
-- The counts of words belong to all sources; taken last, and held until the commit.
select pg_advisory_xact_lock(hashtextextended(format('rag-pipeline keywords rag_g%%s', %(generation)s::int), 0))

-- name: shift_average
-- The average length in force, where the chunks to come move it to another step; returns it then.
update keyword_state set average = wanted.average
from (
    select rag.average_in_force(
        state.chunks + coalesce(new.chunks, 0), state.length + coalesce(new.length, 0)
    ) as average
    from keyword_state as state
    cross join (
        select count(*) as chunks, sum(length) as length from staged_terms
        where not exists (select from chunk_terms where chunk_terms.chunk_key = staged_terms.chunk_key)
    ) as new
) as wanted
where keyword_state.average <> wanted.average
returning keyword_state.average

-- name: reweigh
-- All weights follow the average; how often a term occurs is read again from the text.
update chunk_terms set weights = rag.term_weights(
    rag.terms(chunk_terms.language, rag.found_by(documents.title, sections.heading_path, chunks.text)),
    chunk_terms.length, (select average from keyword_state)
)
from chunks
join sections using (doc_key, section_id)
join documents on documents.doc_key = chunks.doc_key
where chunks.chunk_key = chunk_terms.chunk_key

-- name: insert_terms
-- Every chunk that has none gets its terms and their weights, in the order of the vectors.
insert into chunk_terms (chunk_key, doc_key, acl_id, language, length, places, weights)
select chunk_key, doc_key, acl_id, language, length, rag.term_places(terms),
    rag.term_weights(terms, length, (select average from keyword_state))
from staged_terms
where not exists (select from chunk_terms where chunk_terms.chunk_key = staged_terms.chunk_key)
order by acl_id, chunk_key

-- name: update_term_access
-- Kept chunks whose access changed.
update chunk_terms set acl_id = chunks.acl_id
from staged_documents
join chunks using (doc_key)
where chunk_terms.chunk_key = chunks.chunk_key and chunk_terms.acl_id <> chunks.acl_id

-- name: merge_pending_terms
-- New entries of the word index wait in a list that every search would read to its end; they are put in their places.
select rag.merge_pending_terms()
