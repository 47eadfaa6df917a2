-- What is retired keeps the readers that it had, and what is built may be behind: analysts read the live generation only,
-- also in the tables themselves, and in a snapshot of before a flip nothing of the one that it made live.

create function rag.analyst_acl_ids(of_generation int) returns setof int
language sql stable security definer set search_path = rag, pg_temp
begin atomic
    select rag.analyst_acl_ids()
    where exists (
        select from rag.generations where generations.generation = of_generation and generations.state = 'live'
    );
end;
comment on function rag.analyst_acl_ids(int)
    is 'The access lists that admit the database user who asks, if the generation is live.';
revoke all on function rag.analyst_acl_ids(int) from public;
grant execute on function rag.analyst_acl_ids(int) to rag_analyst;

do $$
declare
    own int;
begin
    for own in select generation from rag.generations where to_regclass(format('rag_g%s.chunks', generation)) is not null loop
        execute format(
            'alter policy analyst on rag_g%1$s.documents using (acl_id = any (array(select rag.analyst_acl_ids(%1$s))))', own
        );
        execute format(
            'alter policy analyst on rag_g%1$s.chunks using (acl_id = any (array(select rag.analyst_acl_ids(%1$s))))', own
        );
    end loop;
end;
$$;

alter policy analyst on rag.quarantine using (acl_id = any (array(select rag.analyst_acl_ids(generation))));
