-- Several generations beside each other: one is live, one may be built, others are retired or dropped.

alter table rag.generations add column layout int, add column retired_at timestamptz;
-- Layout 1 is the first that is told apart; an index from before it has other tables.
update rag.generations set layout = case
    when exists (
        select from pg_attribute
        where attrelid = to_regclass(format('rag_g%s.chunk_terms', generations.generation)) and attname = 'places'
    ) then 1 else 0
end;
alter table rag.generations alter column layout set not null,
    drop constraint generations_state_check,
    add constraint generations_state_check check (state in ('building', 'live', 'retired', 'dropped'));
create unique index generations_one_building on rag.generations (state) where state = 'building';
comment on column rag.generations.layout is 'Version of the tables in its schema; views and functions fit one version only.';

create table rag.generation_sources (
    generation      int not null references rag.generations,
    source          text not null references rag.sources,
    revision        bigint not null default 0,
    snapshot_id     bigint references rag.snapshots,
    confirmed_id    bigint references rag.snapshots,
    equals_revision bigint,
    chunks          bigint,
    texts           bigint,
    begun_at        timestamptz,
    failure         text,
    failed_at       timestamptz,
    primary key (generation, source)
);
comment on table rag.generation_sources is 'Which state each source is in, in each generation; revision counts the published states.';
comment on column rag.generation_sources.equals_revision
    is 'Of a generation that is built: the revision of the live one that it is equal to.';
comment on column rag.generation_sources.confirmed_id is 'The last snapshot that was a complete listing.';
insert into rag.generation_sources (generation, source, revision, snapshot_id, confirmed_id)
select generations.generation, sources.source, sources.revision, last.snapshot_id, last.confirmed_id
from rag.generations
cross join rag.sources
cross join lateral (
    select max(snapshot_id) as snapshot_id, max(snapshot_id) filter (where snapshots.complete) as confirmed_id
    from rag.refreshes
    join rag.snapshots using (snapshot_id)
    where refreshes.generation = generations.generation and refreshes.source = sources.source
) as last;

-- Applied anew with the other views.
drop view if exists rag.freshness;
alter table rag.sources drop column revision;
comment on table rag.sources is 'Every source that was ever refreshed.';

-- What one generation cannot read, another may: it has another parser, or another model.
alter table rag.quarantine add column generation int references rag.generations;
update rag.quarantine set generation = (select generation from rag.generations where state = 'live');
alter table rag.quarantine alter column generation set not null,
    drop constraint quarantine_pkey,
    add primary key (generation, document_hash);

grant select, insert, update, delete on rag.generation_sources to rag_writer;
-- Not the failure: it may name a document that an analyst may not know of.
grant select (generation, source, revision, snapshot_id, confirmed_id, equals_revision) on rag.generation_sources to rag_analyst;
