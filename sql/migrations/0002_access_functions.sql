-- Who may read what, in one place. Both functions are the owner's eyes on access_lists: nobody else needs any.

create function rag.visible_acl_ids(principals text[]) returns setof int
language sql stable security definer set search_path = rag, pg_temp
begin atomic
    -- An empty or missing list of principals sees nothing, not even what is public.
    select access_lists.acl_id
    from rag.access_lists
    where cardinality(principals) > 0
      and access_lists.allow && (principals || array['public'])
      and not access_lists.deny && (principals || array['public']);
end;
comment on function rag.visible_acl_ids(text[]) is 'The access lists that admit a caller who is all of these principals.';

create function rag.analyst_acl_ids() returns setof int
language sql stable security definer set search_path = rag, pg_temp
begin atomic
    select rag.visible_acl_ids(array(
        select analyst_principals.principal
        from rag.analyst_principals
        where analyst_principals.database_user = session_user
    ));
end;
comment on function rag.analyst_acl_ids() is 'The access lists that admit the database user who asks.';

revoke all on function rag.visible_acl_ids(text[]), rag.analyst_acl_ids() from public;
grant execute on function rag.visible_acl_ids(text[]) to rag_writer;
grant execute on function rag.analyst_acl_ids() to rag_analyst;

-- A quarantined document's address is as secret as the document.
alter table rag.quarantine enable row level security;
create policy pipeline on rag.quarantine to rag_writer using (true) with check (true);
create policy analyst on rag.quarantine for select to rag_analyst
    using (acl_id = any (array(select rag.analyst_acl_ids())));
