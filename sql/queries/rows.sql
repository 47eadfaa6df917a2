-- The `sql` source's statements, run in the user's own database. {query} is the user's query, {columns} the columns
-- of it that are mapped, {rows} one of the two statements all_rows and one_row. A row is written as JSON with the
-- names of its columns; its hash is the version token.

-- name: session
-- Values have one spelling whatever the server's settings, and nothing runs for ever; until the transaction ends.
select
    set_config('timezone', 'UTC', true), set_config('intervalstyle', 'iso_8601', true),
    set_config('bytea_output', 'hex', true), set_config('extra_float_digits', '1', true),
    set_config('statement_timeout', %(milliseconds)s, true)

-- name: columns
-- No row, but the names of the query's columns.
select * from (
{query}
) as source limit 0

-- name: all_rows
-- What is mapped of every row.
select {columns} from (
{query}
) as source

-- name: one_row
-- What is mapped of the rows with one id; more than one where equal ids are spelled differently.
select {columns} from (
{query}
) as source where source.{id} = %(id)s

-- name: listing
-- What a listing needs of each row: the columns that name and date it, the hash and the size of all.
select head::text, encode(sha256(convert_to(record, 'UTF8')), 'hex') as token, octet_length(record) as size
from (
    select json_build_object({head}) as head, row_to_json(mapped.*)::text as record
    from ({rows}) as mapped
    offset 0
) as hashed

-- name: records
-- The rows themselves, save those that are too large to be documents.
select record
from (select row_to_json(mapped.*)::text as record from ({rows}) as mapped offset 0) as written
where octet_length(record) <= %(limit)s
