-- The log of questions: what a caller of the search functions may write, and how little of it.

-- The first ten of what can be a chunk_id: nothing else can be written in their place.
create or replace function rag.only_chunk_ids(named text[]) returns text[]
language sql immutable
as $$
    select coalesce(array_agg(chunk_id order by place), '{}')
    from unnest(named) with ordinality as each (chunk_id, place)
    cross join lateral rag.named_chunk(chunk_id)
    where place <= 10 and document_hash is not null;
$$;
comment on function rag.only_chunk_ids(text[]) is 'What of a list can be a chunk_id, the first ten.';

-- Equal for one person, whatever groups are named beside; null where nobody is named. Nothing leads back from it without
-- the key.
create or replace function rag.pseudonym(principals text[]) returns bytea
language sql stable
set search_path from current
as $$
    select substr(sha256(secret.key || sha256(secret.key || convert_to(string_agg(named, e'\n' order by named), 'UTF8'))), 1, 16)
    from rag.query_log_key as secret, unnest(principals) as named
    where named <> 'public'
      and (named like 'user:%' or not exists (select from unnest(principals) as other where other like 'user:%'))
    group by secret.key;
$$;
comment on function rag.pseudonym(text[]) is 'By what the log knows one who asks from another.';

-- A question that was asked, into the log. What was found is kept by chunk_ids alone, which say nothing any more once
-- the document is gone.
create or replace function rag.log_query(
    question   text,
    principals text[],
    purpose    text,
    hits       int,
    found      text[],
    cited      text[],
    evidence   float8,
    abstained  boolean,
    filtered   boolean
) returns void
language sql volatile security definer
set search_path from current
as $$
    insert into rag.query_log (purpose, question, asker, filtered, hits, evidence, abstained, found, cited)
    select purpose, question, rag.pseudonym(principals), filtered, hits, evidence, abstained,
        rag.only_chunk_ids(found), rag.only_chunk_ids(cited);
$$;
comment on function rag.log_query(text, text[], text, int, text[], text[], float8, boolean, boolean)
    is 'Writes down a question that a caller with these principals asked, and what was found.';
revoke all on function rag.pseudonym(text[]), rag.only_chunk_ids(text[]),
    rag.log_query(text, text[], text, int, text[], text[], float8, boolean, boolean) from public;
-- Not to rag_writer: who reads the log and writes a name into it sees which pseudonym the name has.
revoke all on function rag.log_query(text, text[], text, int, text[], text[], float8, boolean, boolean) from rag_writer;
grant execute on function rag.log_query(text, text[], text, int, text[], text[], float8, boolean, boolean)
    to rag_reader;
