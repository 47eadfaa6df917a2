-- What a caller's search looks at: the access lists that admit him in the sources asked for, and, where a filter or a
-- quoted phrase narrows them, documents and chunks. Null documents or keys do not narrow. `visible` counts chunks, for
-- the choice of a way; where documents are narrowed it stops at the bound.
create or replace function rag.search_scope(
    question text, principals text[], only_sources text[], media_types text[], uri_prefix text, only_languages text[],
    modified_since timestamptz, modified_until timestamptz, confirmed_since timestamptz, metadata_filter jsonb,
    exact_up_to bigint,
    out lists int[], out languages text[], out documents bigint[], out keys bigint[], out visible bigint, out note text
)
language plpgsql stable
set search_path from current
set plan_cache_mode = force_custom_plan
set max_parallel_workers_per_gather = 0
as $$
#variable_conflict use_variable
declare
    many   constant int := 5000;
    phrase text;
    pattern text;
    spoken text;
    words  int[];
    held   bigint[];
    searched boolean;
begin
    lists := array(select admitted from rag.visible_acl_ids(principals) as admitted);
    -- A list belongs to one source.
    if only_sources is not null or confirmed_since is not null then
        lists := array(
            select access_lists.acl_id
            from rag.access_lists
            where access_lists.acl_id = any (lists)
              and (only_sources is null or access_lists.source = any (only_sources))
              and (confirmed_since is null or access_lists.source in (
                  select confirmed.source from rag.confirmed_sources(only_sources) as confirmed
                  where confirmed.as_of >= confirmed_since
              ))
        );
    end if;
    select coalesce(array_agg(by_language.language order by by_language.language), '{}'), coalesce(sum(by_language.chunks), 0)
    into languages, visible
    from (
        select acl_sizes.language, sum(acl_sizes.chunks) as chunks
        from acl_sizes
        where acl_sizes.acl_id in (select unnest(lists))
        group by acl_sizes.language
    ) as by_language;
    if coalesce(media_types, only_languages) is not null or coalesce(modified_since, modified_until) is not null
        or uri_prefix is not null or metadata_filter is not null
    then
        documents := array(
            select found.doc_key
            from documents as found
            where found.acl_id = any (lists)
              and (media_types is null or found.media_type = any (media_types))
              and (uri_prefix is null or starts_with(found.uri, uri_prefix))
              and (modified_since is null or found.modified_at >= modified_since)
              and (modified_until is null or found.modified_at < modified_until)
              and (metadata_filter is null or found.front_matter || found.metadata @> metadata_filter)
              and (only_languages is null or found.language = any (only_languages)
                   or lower((found.front_matter || found.metadata) ->> 'language') = any (only_languages)
                   or found.language in (
                       select rag.language(jsonb_build_object('language', asked), null)
                       from unnest(only_languages) as asked
                   ))
        );
        visible := (
            select count(*) from (
                select from chunk_vectors where chunk_vectors.doc_key = any (documents) limit exact_up_to + 1
            ) as counted
        );
    end if;
    for phrase in
        select found.match[1] from regexp_matches(question, '["“„«]([^"“”„«»]+)["”“»]', 'g') as found (match)
    loop
        pattern := rag.phrase_pattern(phrase);
        held := '{}';
        searched := false;
        foreach spoken in array languages loop
            words := rag.term_places(rag.terms(spoken, phrase));
            continue when cardinality(words) = 0;
            searched := true;
            held := held || array(
                select chunk_terms.chunk_key
                from chunk_terms
                join chunks on chunks.chunk_key = chunk_terms.chunk_key
                join sections on sections.doc_key = chunks.doc_key and sections.section_id = chunks.section_id
                join documents as whole on whole.doc_key = chunks.doc_key
                where chunk_terms.places @> words and chunk_terms.acl_id = any (lists)
                  and chunk_terms.language = spoken
                  and (documents is null or chunk_terms.doc_key = any (documents))
                  and lower(rag.found_by(whole.title, sections.heading_path, chunks.text)) ~ pattern
                limit many + 1
            );
        end loop;
        -- A phrase that nothing holds would answer with nothing; one that is everywhere does not narrow.
        if not searched then
            note := 'the quoted words are too common to be searched';
        elsif cardinality(held) = 0 then
            note := 'nothing that you may read holds the quoted words next to each other; they were searched as words';
        elsif cardinality(held) > many then
            note := 'the quoted words are in too many places to narrow the search by';
        else
            keys := case when keys is null then held else array(select unnest(keys) intersect select unnest(held)) end;
        end if;
    end loop;
    if keys is not null then
        visible := cardinality(keys);
    end if;
end;
$$;
comment on function rag.search_scope(
    text, text[], text[], text[], text, text[], timestamptz, timestamptz, timestamptz, jsonb, bigint
) is 'What a caller''s search looks at.';
revoke all on function rag.search_scope(text, text[], text[], text[], text, text[], timestamptz, timestamptz,
    timestamptz, jsonb, bigint) from public;
