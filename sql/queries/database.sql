-- name: session_search_path
-- Types and operators of pgvector are found wherever the extension lives; nothing else is searched after rag.
select set_config('search_path', format('rag, %I, pg_temp', n.nspname), false)
from pg_extension as e join pg_namespace as n on n.oid = e.extnamespace
where e.extname = 'vector'

-- name: forget_temporary_tables
-- Before a session is used again.
discard temp

-- name: forget_settings
-- Likewise; what the session started with, its role too, stays.
reset all

-- name: forget_locks
-- Likewise.
select pg_advisory_unlock_all()

-- name: extension_schema
-- Where pgvector's types and operators live, quoted for a search_path.
select quote_ident(n.nspname) from pg_extension as e join pg_namespace as n on n.oid = e.extnamespace where e.extname = 'vector'

-- name: open_schema
-- The schema of pgvector where everybody may create objects in it; nothing where it is closed.
select quote_ident(n.nspname)
from pg_extension as e
join pg_namespace as n on n.oid = e.extnamespace
where e.extname = 'vector' and has_schema_privilege('public', n.oid, 'create')

-- name: is_reader
-- Whether a session is what its start asked for: something between, such as a pooler, may have dropped that.
select current_user = 'rag_reader' and current_setting('transaction_read_only')::bool
    and current_setting('transaction_isolation') = 'repeatable read'

-- name: server
-- What the server is and offers.
select current_setting('server_version_num')::int,
       (select extversion from pg_extension where extname = 'vector'),
       (select default_version from pg_available_extensions where name = 'vector'),
       current_setting('server_encoding'),
       (select datctype from pg_database where datname = current_database())

-- name: applied
-- Everything that decides whether there is anything to prepare, in one round trip.
select exists (select from pg_database where datname = %(other)s)
           and not exists (
               select from pg_extension as e
               where e.extname = 'vector' and has_schema_privilege('public', e.extnamespace, 'create')
           ),
       (select coalesce(jsonb_agg(jsonb_build_array(number, checksum) order by number), '[]') from rag.migrations),
       (select coalesce(jsonb_agg(jsonb_build_array(name, checksum) order by name), '[]') from rag.applied_objects)

-- name: missing_database
-- The statement that makes a database; none where there is one of that name.
select format('create database %%I owner %%I encoding ''UTF8'' template template0', %(name)s::text, current_user)
where not exists (select from pg_database where datname = %(name)s)

-- name: lock
-- One process migrates a database at a time; the others wait and then find nothing to do.
select pg_advisory_xact_lock(hashtextextended('rag-pipeline schema', 0))

-- name: identity
-- Who the session is and what its unqualified names mean, to return to afterwards.
select current_setting('role'), current_setting('search_path')

-- name: become
-- For the rest of the transaction.
select set_config('role', %(role)s, true), set_config('search_path', %(search_path)s, true)

-- name: applied_migrations
-- In the order in which they were applied.
select number, name, checksum from rag.migrations order by number

-- name: record_migration
-- In the transaction of the migration itself.
insert into rag.migrations (number, name, checksum) values (%(number)s, %(name)s, %(checksum)s)

-- name: applied_objects
-- Which files of functions and views stand, in which shape, over which generation.
select name, checksum, generation, defines from rag.applied_objects

-- name: applied_generation
-- The generation that readers see through the views, and the version of its tables; none before the first is made.
select generation, layout from rag.applied_objects join rag.generations using (generation) limit 1

-- name: forget_objects
-- Before all files are applied anew.
delete from rag.applied_objects

-- name: record_object
-- In the transaction that applied the file.
insert into rag.applied_objects (name, checksum, generation, defines)
values (%(name)s, %(checksum)s, %(generation)s, %(defines)s)

-- name: count_routines
-- How many signatures each of our function names has; an old one must not stay callable beside the new.
select proname, count(*) from pg_proc where pronamespace = 'rag'::regnamespace and proname = any(%(names)s) group by proname

-- name: drop_objects
-- The statements that drop every view and function of these names, views first.
select format('drop %%s if exists rag.%%I cascade', case relkind when 'm' then 'materialized view' else 'view' end, relname)
from pg_class where relnamespace = 'rag'::regnamespace and relkind in ('v', 'm') and relname = any(%(names)s)
union all
select format('drop routine if exists %%s cascade', oid::regprocedure)
from pg_proc where pronamespace = 'rag'::regnamespace and proname = any(%(names)s)
