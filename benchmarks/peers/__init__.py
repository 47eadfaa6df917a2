"""The same corpus, changes, embedder and Postgres for this project and for others.

`side_by_side` runs every system in a process of its own; the others live in an environment of their own
(``install.sh``). What both environments import (`phases`, `texts`) needs only psycopg and numpy.
"""
