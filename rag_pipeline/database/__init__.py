"""Where Postgres comes from and how to reach it.

This is the lowest layer: it promises a running server with the schema of this version of the code, and
knows nothing of documents. `prepare` makes it so, `connect` opens a session in one of the roles,
`statements` reads named SQL from `sql/queries/`.
"""
