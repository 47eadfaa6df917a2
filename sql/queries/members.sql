-- name: members
-- Who is a member of which group, group by group.
select of_group as "group", member from rag.principal_members order by of_group, member

-- name: add_members
-- Those who are members already stay so; which were added is returned.
insert into rag.principal_members (member, of_group)
select member, %(group)s from unnest(%(members)s::text[]) as member
on conflict do nothing
returning member

-- name: remove_members
-- Which of them were members is returned.
delete from rag.principal_members where of_group = %(group)s and member = any (%(members)s::text[]) returning member

-- name: effective_principals
-- All that a caller is who is this principal.
select principal from unnest(rag.effective_principals(array[%(principal)s::text])) as principal
