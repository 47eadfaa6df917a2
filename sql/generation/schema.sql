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
    section_ids     bytea[] not null,
    section_starts  int[] not null,
    places          jsonb not null, -- pages, lines, seconds of its chunks by local_id: absolute, so kept here
    snapshot_id     bigint not null references rag.snapshots
);
create index documents_by_source on documents (source, content_hash);
create index documents_by_acl on documents (acl_id);

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
    unique (doc_key, local_id),
    foreign key (doc_key, section_id) references sections
);
create index chunks_by_section on chunks (doc_key, section_id);

create table chunk_vectors (
    chunk_key bigint primary key references chunks,
    acl_id    int not null,
    embedding halfvec not null
);
create index chunk_vectors_by_acl on chunk_vectors (acl_id);

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
-- that rag.analyst_principals gives to the database user who asks. The pipeline reads everything.
alter table documents enable row level security;
alter table sections enable row level security;
alter table chunks enable row level security;
alter table chunk_vectors enable row level security;
create policy pipeline on documents to rag_writer using (true) with check (true);
create policy pipeline on sections to rag_writer using (true) with check (true);
create policy pipeline on chunks to rag_writer using (true) with check (true);
create policy pipeline on chunk_vectors to rag_writer using (true) with check (true);
create policy analyst on documents for select to rag_analyst
    using (acl_id = any (array(select rag.analyst_acl_ids())));
create policy analyst on chunks for select to rag_analyst
    using (acl_id = any (array(select rag.analyst_acl_ids())));
create policy analyst on sections for select to rag_analyst
    using (exists (select from documents where documents.doc_key = sections.doc_key));
