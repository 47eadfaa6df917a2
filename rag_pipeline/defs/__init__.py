"""Dagster, thin: each asset calls one stage of `rag_pipeline.stages` and reports what it did in numbers.

The only package that imports Dagster. ``corpus``, ``vectors`` and ``index`` hold the assets in the order
of the flow, ``migration`` those of a generation that is being built, ``checks`` what must hold between them,
``automation`` what runs by itself; ``build`` puts them together for the sources of one `rag.toml`. ``instance``
says where Dagster keeps its history, ``launch`` runs the same jobs without a server.
"""
