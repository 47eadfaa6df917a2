-- Which generation the functions and views read: the one whose schema is first in the search path that they were made with.
-- The first file, so that none of the others can be seen before this one when another generation becomes live: what asks
-- at its end and gets the same number as at its beginning has not been led from one generation into another.
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

-- A snapshot of before a flip may know the tables half filled, or open to those whom the flip has shut out.
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
