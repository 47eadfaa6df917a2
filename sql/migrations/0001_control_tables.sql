-- The control tables of the index: which generations and sources there are, what was seen, done,
-- allowed, paid for and left aside. Applied by rag_owner inside schema rag.

create table rag.generations (
    generation   int primary key,
    recipe       jsonb not null,
    fingerprint  text not null,
    model        text not null,
    dimensions   int not null check (dimensions between 1 and 4000),
    state        text not null check (state in ('building', 'live', 'retired')),
    created_at   timestamptz not null default now(),
    published_at timestamptz
);
create unique index generations_one_live on rag.generations (state) where state = 'live';
comment on table rag.generations is 'One row a generation of the index: one recipe, one model, one schema rag_g<N>.';

create table rag.sources (
    source          text primary key,
    type            text not null,
    revision        bigint not null default 0,
    stale_after     interval not null,
    pinned_snapshot bigint,
    created_at      timestamptz not null default now()
);
comment on table rag.sources is 'Every source that was ever refreshed; revision counts the published states.';
comment on column rag.sources.pinned_snapshot is 'Set by rollback: refreshes keep publishing this snapshot until it is released.';

create table rag.snapshots (
    snapshot_id bigint generated always as identity primary key,
    source      text not null references rag.sources,
    started_at  timestamptz not null,
    complete    boolean not null,
    reason      text,
    listed      bigint not null,
    manifest    text
);
create index snapshots_by_source on rag.snapshots (source, snapshot_id desc);
comment on table rag.snapshots is 'One row a listing of a source; manifest is the workspace folder that holds what was seen.';

create table rag.approvals (
    approval_id bigint generated always as identity primary key,
    source      text not null references rag.sources,
    kind        text not null check (kind in ('deletions', 'widenings')),
    up_to       bigint not null check (up_to > 0),
    approved_by text not null default session_user,
    approved_at timestamptz not null default now(),
    used_at     timestamptz
);
create index approvals_open on rag.approvals (source, kind) where used_at is null;
comment on table rag.approvals is 'Permissions by a person to let withheld deletions or widenings through, up to a number, once.';

create table rag.refreshes (
    refresh_id         bigint generated always as identity primary key,
    source             text not null references rag.sources,
    generation         int not null references rag.generations,
    snapshot_id        bigint not null references rag.snapshots,
    run_id             text,
    revision           bigint not null,
    complete           boolean not null,
    listed             bigint not null,
    added              bigint not null,
    changed            bigint not null,
    moved              bigint not null,
    access_changed     bigint not null,
    metadata_changed   bigint not null,
    removed            bigint not null,
    restored           bigint not null,
    unchanged          bigint not null,
    withheld           bigint not null,
    quarantined        bigint not null,
    documents_written  bigint not null,
    documents_deleted  bigint not null,
    chunks_written     bigint not null,
    chunks_deleted     bigint not null,
    texts_embedded     bigint not null,
    tokens             bigint not null,
    cost_usd           numeric(14, 6) not null,
    seconds            double precision not null,
    published_at       timestamptz not null default clock_timestamp()
);
create index refreshes_by_source on rag.refreshes (source, refresh_id desc);
comment on table rag.refreshes is 'One row a published refresh of a source, also when it changed nothing.';

create table rag.access_lists (
    acl_id int generated always as identity primary key,
    source text not null references rag.sources,
    allow  text[] not null,
    deny   text[] not null,
    digest bytea not null,
    unique (source, digest)
);
comment on table rag.access_lists is 'Distinct access lists, interned by source; an empty allow means nobody.';

create table rag.tombstones (
    document_hash bytea primary key,
    source        text not null references rag.sources,
    document_id   text not null,
    uri           text not null,
    media_type    text,
    content_hash  bytea not null,
    snapshot_id   bigint not null,
    removed_at    timestamptz not null default now()
);
create index tombstones_by_source on rag.tombstones (source, content_hash);
comment on table rag.tombstones is 'Documents that a source has lost: hidden at once, remembered until the grace period ends.';

create table rag.embedding_store (
    model        text not null,
    embed_hash   bytea not null,
    -- A vector without direction would never be found, and none but unit vectors can be compared by product.
    embedding    halfvec not null check (l2_norm(embedding) between 0.99 and 1.01),
    tokens       int not null,
    created_at   timestamptz not null default now(),
    unused_since timestamptz,
    primary key (model, embed_hash)
);
comment on table rag.embedding_store is 'Every vector that was ever paid for and is still kept, by model and hash of the embedded text.';

create table rag.usage_ledger (
    entry_id bigint generated always as identity primary key,
    at       timestamptz not null default now(),
    run_id   text,
    source   text,
    model    text not null,
    purpose  text not null,
    texts    bigint not null,
    tokens   bigint not null,
    cost_usd numeric(14, 6) not null
);
comment on table rag.usage_ledger is 'What every run asked of a model: texts, tokens, dollars.';

create table rag.quarantine (
    document_hash  bytea primary key,
    source         text not null references rag.sources,
    document_id    text not null,
    uri            text not null,
    reason         text not null,
    content_hash   bytea,
    parser_version int not null,
    acl_id         int references rag.access_lists,
    first_seen     timestamptz not null default now(),
    last_seen      timestamptz not null default now(),
    attempts       int not null default 1
);
create index quarantine_by_source on rag.quarantine (source);
comment on table rag.quarantine is 'Documents that could not be read, and why; retried when they or the parser change.';

create table rag.analyst_principals (
    database_user name not null,
    principal     text not null,
    primary key (database_user, principal)
);
comment on table rag.analyst_principals is 'Which principals a database user of role rag_analyst stands for; set by an administrator.';

grant select, insert, update, delete on all tables in schema rag to rag_writer;
revoke insert, update, delete on rag.analyst_principals from rag_writer;
grant select on rag.generations, rag.refreshes, rag.sources, rag.usage_ledger, rag.quarantine to rag_analyst;
-- Not the reason of an incomplete listing: it may name a folder that an analyst may not know of.
grant select (snapshot_id, source, started_at, complete, listed, manifest) on rag.snapshots to rag_analyst;
