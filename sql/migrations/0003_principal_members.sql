-- Who belongs to which group, for those who do not send a caller's groups with every question. Groups nest
-- to any depth. Membership is expanded inside the database, in the one function that every path asks.

create domain rag.principal as text
    -- As `principal` in rag_pipeline/model.py spells it, save that nobody can be given or taken `public`.
    constraint spelled_kind_and_name check (
        value is nfc normalized
        and char_length(value) <= 256
        and value ~ '^[a-z][a-z_]*:[^\u0001-\u001f\u007f]+$'
        and value !~ ':[\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'
        and value !~ '[\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]$'
    );
comment on domain rag.principal is 'kind:name in the one spelling that is compared: NFC, no blanks around the name.';

create table rag.principal_members (
    member   rag.principal not null,
    -- A slip that turns the two around would give a whole group the rights of one person.
    of_group rag.principal not null constraint a_person_is_no_group check (of_group !~ '^user:'),
    primary key (member, of_group)
);
create index principal_members_by_group on rag.principal_members (of_group);
comment on table rag.principal_members is 'Who is a member of which group; a group may itself be a member of groups.';

-- A caller's lists are found by their principals, however many lists there are; no search waits for entries to be merged.
create index access_lists_by_allow on rag.access_lists using gin (allow) with (fastupdate = off);
create index access_lists_by_deny on rag.access_lists using gin (deny) with (fastupdate = off);

create function rag.take_turns_to_change_members() returns trigger
language plpgsql set search_path = rag, pg_temp
as $$
begin
    -- Two sessions could each add half of a cycle, neither seeing the other's half. So they take turns, and
    -- each looks again when its turn comes, which a snapshot taken before would not let it do.
    if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        raise exception 'rag.principal_members cannot be changed in a % transaction', current_setting('transaction_isolation')
            using errcode = 'invalid_transaction_state', hint = 'Change it in a transaction with isolation level read committed.';
    end if;
    perform pg_advisory_xact_lock(hashtextextended('rag.principal_members', 0));
    return null;
end;
$$;
comment on function rag.take_turns_to_change_members() is 'Trigger: one transaction at a time changes who is a member of what.';

create function rag.refuse_circular_members() returns trigger
language plpgsql set search_path = rag, pg_temp
as $$
declare
    circular record;
begin
    -- Only a group that has members and is a member can be part of a cycle; people are not followed.
    with recursive above (member, of_group, reached) as (
        select added.member, added.of_group, added.of_group
        from added
        where exists (select from rag.principal_members as below where below.of_group = added.member)
        union
        select above.member, above.of_group, principal_members.of_group
        from above
        join rag.principal_members on principal_members.member = above.reached
        where above.reached <> above.member
    )
    select above.member, above.of_group into circular from above where above.reached = above.member limit 1;
    if found then
        raise exception '% cannot become a member of %', circular.member, circular.of_group
            using errcode = 'integrity_constraint_violation',
                  detail = format('%s is itself a member of %s, directly or through other groups.', circular.of_group, circular.member),
                  hint = 'Remove a membership on the way from one to the other first.';
    end if;
    return null;
end;
$$;
comment on function rag.refuse_circular_members() is 'Trigger: no group is a member of itself, not even through others.';

create trigger take_turns before insert or update on rag.principal_members
    for each statement execute function rag.take_turns_to_change_members();
create trigger refuse_circular_insert after insert on rag.principal_members
    referencing new table as added for each statement execute function rag.refuse_circular_members();
create trigger refuse_circular_update after update on rag.principal_members
    referencing new table as added for each statement execute function rag.refuse_circular_members();

create function rag.effective_principals(principals text[]) returns text[]
language sql stable security definer set search_path = rag, pg_temp
begin atomic
    -- An empty or missing list of principals stays empty: it is not even public.
    with recursive given (principal) as (
        select named.principal from unnest(principals) as named (principal) where named.principal is not null
    ),
    effective (principal) as (
        (select given.principal from given union select 'public' from given)
        union
        select principal_members.of_group::text
        from effective
        join rag.principal_members on principal_members.member = effective.principal
    )
    select coalesce(array_agg(effective.principal order by effective.principal), '{}') from effective;
end;
comment on function rag.effective_principals(text[]) is 'These principals, public, and every group that one of them is in, through any number of groups.';

create or replace function rag.visible_acl_ids(principals text[]) returns setof int
language sql stable security definer set search_path = rag, pg_temp
-- One look into an index for each principal. To compare every list with hundreds of groups takes seconds, and
-- the planner, who does not know how many they are, would do so while lists are few: so laterally, and by index.
set enable_seqscan = off
begin atomic
    with effective as materialized (
        select unnest(rag.effective_principals(principals)) as principal
    )
    select admitted.acl_id
    from effective
    cross join lateral (
        select access_lists.acl_id from rag.access_lists where access_lists.allow @> array[effective.principal] offset 0
    ) as admitted
    except
    select refused.acl_id
    from effective
    cross join lateral (
        select access_lists.acl_id from rag.access_lists where access_lists.deny @> array[effective.principal] offset 0
    ) as refused;
end;
comment on function rag.visible_acl_ids(text[]) is 'The access lists that admit a caller who is all of these principals, and a member of their groups.';

revoke all on function rag.effective_principals(text[]), rag.take_turns_to_change_members(), rag.refuse_circular_members() from public;
grant execute on function rag.effective_principals(text[]) to rag_writer;
grant select, insert, update, delete on rag.principal_members to rag_writer;
