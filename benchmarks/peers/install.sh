#!/bin/sh
# Make .venv-peers: the other systems, apart from this project's own environment (about 450 MB).
set -eu
cd "$(dirname "$0")/../.."
"${PYTHON:-python3}" -m venv .venv-peers
# The environment ignores itself: it must never be committed.
echo '*' > .venv-peers/.gitignore
.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --requirement benchmarks/peers/requirements.txt
echo "Done. Measure with: .venv/bin/python -m benchmarks peers"
