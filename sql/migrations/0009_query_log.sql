-- What people ask, where the settings say that it is kept: to find what nobody wrote down yet, and questions by which
-- answers are measured. It holds no text of a document, and not who asked.

create table rag.query_log (
    query_id  bigint generated always as identity primary key,
    asked_at  timestamptz not null default clock_timestamp(),
    purpose   text not null check (purpose in ('search', 'answer')),
    question  text not null check (char_length(question) between 1 and 10000),
    asker     bytea check (length(asker) = 16),
    filtered  boolean not null,
    hits      int not null check (hits >= 0),
    evidence  real,
    abstained boolean,
    found     text[] not null check (cardinality(found) <= 10),
    cited     text[] not null check (cardinality(cited) <= 10)
);
create index query_log_by_time on rag.query_log (asked_at);
comment on table rag.query_log is 'Questions that were asked, what was found, and a pseudonym of who asked; kept for [queries] keep_days.';

-- Without it nobody can compute which pseudonym a name has; nobody but the owner of the functions reads it.
create table rag.query_log_key (
    only_one boolean primary key default true check (only_one),
    key      bytea not null
);
insert into rag.query_log_key (key)
values (sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')));
comment on table rag.query_log_key is 'The secret that makes pseudonyms of the names of those who ask.';

grant select, delete on rag.query_log to rag_writer;
