-- A refresh of one short text costs less than a millionth of a dollar, which is not nothing: as in the ledger.

-- Applied anew with the other views; a column that a view shows cannot change its type.
drop view if exists rag.refresh_history;
alter table rag.refreshes alter column cost_usd type numeric(18, 9);
