-- What has been applied to this database; kept by the runner itself, before and beside the migrations.
create table if not exists rag.migrations (
    number     int primary key,
    name       text not null,
    checksum   text not null,
    applied_at timestamptz not null default now()
);
comment on table rag.migrations is 'One row an applied migration; checksum is the sha256 of its file.';

create table if not exists rag.applied_objects (
    name       text primary key,
    checksum   text not null,
    generation int not null,
    defines    text[] not null,
    applied_at timestamptz not null default now()
);
comment on table rag.applied_objects is 'One row a file of functions or views: its sha256, the generation that it reads, the names that it defines.';
