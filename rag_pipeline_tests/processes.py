"""Processes that a test may kill: each is forked from one that has imported the pipeline and done nothing else.

It has what a new interpreter would have, fifty times as fast. Its environment is that of the first one's start.
"""

import multiprocessing

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["pytest", "rag_pipeline.migration", "rag_pipeline.stages", "rag_pipeline.query"])
