"""What `make bench` runs: every figure that the documentation quotes, measured anew on this machine.

``python -m benchmarks`` measures everything and writes ``docs/benchmarks.md``; with names it measures
those and replaces their sections; with ``--quick`` it runs on tiny inputs and only prints. A benchmark is
a module with a `TITLE` and a function ``run(report, options)``; it leaves nothing behind, and what it
compares it measures in the same run.
"""
