-- What answers of a caller are sealed with that are kept outside of the database: whoever can write there, and may not call
-- this, makes none that is believed. It is made from the key of the log, which cannot be found out from it, nor a pseudonym.
create or replace function rag.answer_seal(principals text[]) returns bytea
language sql stable security definer
set search_path from current
as $$
    select sha256(key || sha256(key || sha256(convert_to('seal' || array_to_string(principals, e'\n'), 'UTF8'))))
    from rag.query_log_key;
$$;
comment on function rag.answer_seal(text[])
    is 'The key with which kept answers of a caller with these principals are sealed.';
revoke all on function rag.answer_seal(text[]) from public;
grant execute on function rag.answer_seal(text[]) to rag_reader;
