-- The schema of one generation. The settings rag.generation and rag.dimensions say which one and how
-- long its vectors are: a vector of another length cannot enter. Executed once, by rag_owner.

do $$
begin
    execute format('create schema rag_g%s', current_setting('rag.generation'));
    perform set_config(
        'search_path', format('rag_g%s, %s', current_setting('rag.generation'), current_setting('search_path')), true
    );
end
$$;

create table documents (
    doc_key         bigint generated always as identity primary key,
    document_hash   bytea not null unique,
    source          text not null references rag.sources,
    document_id     text not null,
    uri             text not null,
    title           text not null,
    media_type      text,
    version         text,
    modified_at     timestamptz,
    size            bigint,
    content_hash    bytea not null,
    declared_access text[],
    acl_id          int not null references rag.access_lists,
    metadata        jsonb not null,
    front_matter    jsonb not null,
    language        text not null, -- the text-search configuration that its words are read with
    section_ids     bytea[] not null,
    section_starts  int[] not null,
    places          jsonb not null, -- pages, lines, seconds of its chunks by local_id: absolute, so kept here
    snapshot_id     bigint not null references rag.snapshots
);
create index documents_by_source on documents (source, content_hash);
create index documents_by_acl on documents (acl_id);
create index documents_by_metadata on documents using gin ((front_matter || metadata) jsonb_path_ops);

create table sections (
    doc_key      bigint not null references documents,
    section_id   bytea not null,
    heading_path text[] not null,
    occurrence   int not null,
    text         text not null,
    primary key (doc_key, section_id)
);

create table chunks (
    chunk_key    bigint generated always as identity primary key,
    doc_key      bigint not null,
    section_id   bytea not null,
    local_id     bytea not null,
    acl_id       int not null references rag.access_lists,
    text         text not null,
    start_offset int not null,
    end_offset   int not null check (end_offset > start_offset),
    tokens       int not null check (tokens > 0),
    forced       boolean not null,
    embed_hash   bytea not null,
    shingles     bytea not null, -- sorted hashes of its runs of words, by which near-duplicates are told
    unique (doc_key, local_id),
    foreign key (doc_key, section_id) references sections
);
create index chunks_by_section on chunks (doc_key, section_id);

-- What is searched lies in narrow tables of its own; document and access are repeated in them, so that a
-- filter needs no join.
create table chunk_vectors (
    chunk_key bigint primary key references chunks,
    doc_key   bigint not null,
    acl_id    int not null,
    embedding halfvec not null
);
create index chunk_vectors_by_acl on chunk_vectors (acl_id);
create index chunk_vectors_by_document on chunk_vectors (doc_key);

-- The terms of a chunk as places in a sparse vector: which they are, for the index, and what they weigh, for the score.
-- Written last in a refresh, under one lock for the whole generation, so its key is looked at last as well.
create table chunk_terms (
    chunk_key bigint primary key references chunks deferrable initially deferred,
    doc_key   bigint not null,
    acl_id    int not null,
    language  text not null,
    length    int not null,
    places    int[] not null,
    weights   sparsevec not null
);
create index chunk_terms_by_acl on chunk_terms (acl_id);
create index chunk_terms_by_document on chunk_terms (doc_key);
create index chunk_terms_by_place on chunk_terms using gin (places);

-- How many chunks a term is in. It holds no words: what a deleted document said cannot be read here.
create table lexicon (
    place int primary key,
    df    bigint not null check (df > 0)
);

-- A caller may have thousands of lists, and the planner weighs each against every value that it has noted.
alter table chunk_vectors alter column acl_id set statistics 10;
alter table chunk_terms alter column acl_id set statistics 10;

-- One row: all chunks, their length in words, and the average length that the weights were computed with.
create table keyword_state (
    only_row boolean primary key default true check (only_row),
    chunks   bigint not null default 0,
    length   bigint not null default 0,
    average  real not null default 1
);
insert into keyword_state default values;

-- How many chunks, and of which languages, an access list admits to: what the way of a search is chosen by.
create table acl_sizes (
    acl_id   int not null,
    language text not null,
    chunks   bigint not null check (chunks > 0),
    primary key (acl_id, language)
);

-- The three tables above follow chunk_terms by triggers, whoever changes it. The lock keeps two sources that
-- publish at once from waiting for each other's rows in different order.
create function count_terms() returns trigger language plpgsql
set search_path from current
as $$
declare
    -- What weighs otherwise is counted as before: when the average length moves, that is every chunk.
    counted text := 'added join gone using (chunk_key)'
        ' where (added.acl_id, added.language, added.length, added.places)'
        ' is distinct from (gone.acl_id, gone.language, gone.length, gone.places)';
    changed text := case tg_op
        when 'INSERT' then 'select 1 as sign, * from added'
        when 'DELETE' then 'select -1 as sign, * from gone'
        else 'select 1 as sign, added.* from ' || counted || ' union all select -1, gone.* from ' || counted
    end;
begin
    perform pg_advisory_xact_lock(hashtextextended('rag-pipeline keywords ' || tg_table_schema, 0));
    execute format($merge$
        merge into lexicon using (
            select place, sum(sign) as df
            from (%s) as changed
            cross join lateral unnest(changed.places) as place
            group by place
            having sum(sign) <> 0
        ) as found on lexicon.place = found.place
        when matched and lexicon.df + found.df <= 0 then delete
        when matched then update set df = lexicon.df + found.df
        when not matched then insert (place, df) values (found.place, found.df)
    $merge$, changed);
    execute format($merge$
        merge into acl_sizes using (
            select acl_id, language, sum(sign) as chunks from (%s) as changed group by 1, 2 having sum(sign) <> 0
        ) as found on acl_sizes.acl_id = found.acl_id and acl_sizes.language = found.language
        when matched and acl_sizes.chunks + found.chunks <= 0 then delete
        when matched then update set chunks = acl_sizes.chunks + found.chunks
        when not matched then insert (acl_id, language, chunks) values (found.acl_id, found.language, found.chunks)
    $merge$, changed);
    execute format($update$
        update keyword_state set chunks = keyword_state.chunks + found.chunks, length = keyword_state.length + found.length
        from (select sum(sign) as chunks, sum(sign * length) as length from (%s) as changed) as found
        where found.chunks <> 0 or found.length <> 0
    $update$, changed);
    return null;
end;
$$;
create trigger terms_added after insert on chunk_terms
    referencing new table as added for each statement execute function count_terms();
create trigger terms_gone after delete on chunk_terms
    referencing old table as gone for each statement execute function count_terms();
create trigger terms_changed after update on chunk_terms
    referencing new table as added old table as gone for each statement execute function count_terms();

do $$
begin
    execute format('alter table chunk_vectors alter column embedding type halfvec(%s)', current_setting('rag.dimensions'));
    execute format('grant usage on schema rag_g%s to rag_writer, rag_analyst', current_setting('rag.generation'));
    execute format(
        'grant select, insert, update, delete on all tables in schema rag_g%s to rag_writer',
        current_setting('rag.generation')
    );
    execute format(
        'grant select on documents, sections, chunks to rag_analyst'
    );
end
$$;

-- An analyst reads under row-level security: only documents whose list admits one of the principals
-- that rag.analyst_principals gives to the database user who asks, and only while the generation is live: another one has
-- the readers of another time. The pipeline reads everything.
alter table documents enable row level security;
alter table sections enable row level security;
alter table chunks enable row level security;
alter table chunk_vectors enable row level security;
alter table chunk_terms enable row level security;
create policy pipeline on documents to rag_writer using (true) with check (true);
create policy pipeline on sections to rag_writer using (true) with check (true);
create policy pipeline on chunks to rag_writer using (true) with check (true);
create policy pipeline on chunk_vectors to rag_writer using (true) with check (true);
create policy pipeline on chunk_terms to rag_writer using (true) with check (true);
do $$
declare
    admitted constant text := format('acl_id = any (array(select rag.analyst_acl_ids(%s)))', current_setting('rag.generation'));
begin
    execute format('create policy analyst on documents for select to rag_analyst using (%s)', admitted);
    execute format('create policy analyst on chunks for select to rag_analyst using (%s)', admitted);
end
$$;
create policy analyst on sections for select to rag_analyst
    using (exists (select from documents where documents.doc_key = sections.doc_key));
