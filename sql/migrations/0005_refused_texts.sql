-- What a service's model refused, and how to notice that it is another model now.

alter table rag.quarantine add column refused_by text;
comment on column rag.quarantine.refused_by is 'The embedding model that refused a text of the document; null when the document could not be read.';

create table rag.embedding_samples (
    model       text primary key,
    answered_as text not null,
    embedding   halfvec not null,
    created_at  timestamptz not null default now()
);
comment on table rag.embedding_samples is 'The vector that each service gave for one fixed text when it was first used, and what it called its model.';

grant select, insert on rag.embedding_samples to rag_writer;
