-- Which generation the functions and views read: the one whose schema is first in the search path that they were made with.
-- When another generation becomes live all functions are made anew, this one first. So whoever calls it at the beginning and
-- at the end, and gets the same number, has called no function of another generation in between.
create or replace function rag.own_generation() returns int
language sql stable parallel safe
set search_path from current
as $$ select substr(current_schema(), 6)::int $$;
comment on function rag.own_generation() is 'The generation that functions and views read.';
revoke all on function rag.own_generation() from public;
grant execute on function rag.own_generation() to rag_writer;

-- For a search that would else be answered from two generations.
create or replace function rag.refuse_other_generation() returns void
language plpgsql stable
set search_path from current
as $$
begin
    raise exception 'another generation of the index became live meanwhile'
        using hint = 'Ask again, in a new transaction.', errcode = 'serialization_failure';
end;
$$;
comment on function rag.refuse_other_generation() is 'Ends a search that must be asked again.';
revoke all on function rag.refuse_other_generation() from public;

-- In a snapshot from before a flip the tables may be half filled, or open to readers whom the flip has shut out.
create or replace function rag.expect_live_generation() returns boolean
language plpgsql stable
set search_path from current
as $$
begin
    if not exists (
        select from rag.generations
        where generations.generation = rag.own_generation() and generations.state = 'live'
    ) then
        perform rag.refuse_other_generation();
    end if;
    return true;
end;
$$;
comment on function rag.expect_live_generation()
    is 'True, or the end of what must be asked again: the snapshot knows the generation as not live.';
revoke all on function rag.expect_live_generation() from public;
