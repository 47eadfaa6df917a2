-- What a database lacks before the first migration: roles, the schema rag, the extension vector, rights.
-- The answer is a list of statements in the order in which to run them; none when all is there. rag-pipeline
-- runs them itself where its user may, else it prints them for an administrator. In psql: \gexec.
with roles as (
    select name, r.oid
    from unnest(array['rag_owner', 'rag_writer', 'rag_reader', 'rag_analyst']) as name
    left join pg_roles as r on r.rolname = name
), extension as (
    select n.oid, n.nspname as schema from pg_extension as e join pg_namespace as n on n.oid = e.extnamespace where e.extname = 'vector'
), missing (step, statement) as (
    select 1, format('create role %I nologin', name) from roles where oid is null
    union all
    -- Since Postgres 16 to administer a role and to be allowed to assume it are two rights.
    select 2, format('grant %I to %I', name, current_user) from roles
    where not (select rolsuper from pg_roles where rolname = current_user)
      and (oid is null or not pg_has_role(oid, case when current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end))
    union all
    select 3, format('grant create, connect, temporary on database %I to rag_owner', current_database()) from roles
    where name = 'rag_owner' and (oid is null or not (
        has_database_privilege(oid, current_database(), 'create')
        and has_database_privilege(oid, current_database(), 'connect')
        and has_database_privilege(oid, current_database(), 'temporary')))
    union all
    select 3, format('grant connect, temporary on database %I to %I', current_database(), name) from roles
    where name <> 'rag_owner' and (oid is null or not (
        has_database_privilege(oid, current_database(), 'connect')
        and has_database_privilege(oid, current_database(), 'temporary')))
    union all
    -- In a schema of its own, which nobody else may write to and every search_path can name.
    select 4, 'create schema if not exists extensions' where not exists (select from extension)
    union all
    select 5, 'create extension vector schema extensions' where not exists (select from extension)
    union all
    select 6, format('grant usage on schema %I to %I', coalesce((select schema from extension), 'extensions'), name) from roles
    where oid is null or not coalesce((select has_schema_privilege(roles.oid, extension.oid, 'usage') from extension), false)
    union all
    select 7, 'create schema rag authorization rag_owner' where to_regnamespace('rag') is null
    union all
    select 7, 'alter schema rag owner to rag_owner' from pg_namespace
    where nspname = 'rag' and nspowner is distinct from (select oid from roles where name = 'rag_owner')
    union all
    select 8, format('grant usage on schema rag to %I', name) from roles
    where name <> 'rag_owner' and (oid is null or not coalesce(has_schema_privilege(oid, to_regnamespace('rag')::oid, 'usage'), false))
)
select statement from missing order by step, statement
