-- Everything that a session could keep for whoever has it next: DISCARD ALL, save the plans, which hold nothing of a
-- caller and of which each search needs a dozen.
close all;
set session authorization default;
reset all;
deallocate all;
unlisten *;
select pg_advisory_unlock_all();
discard temp;
discard sequences
