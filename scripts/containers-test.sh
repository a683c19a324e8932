#!/usr/bin/env bash
# The contract with NATS and Redis on servers in containers, by testcontainers. Exits with 69, loudly, where
# there is no Docker engine and none can be had. The whole suite: TEST_BACKEND=containers make test.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/tools.sh
export TEST_BACKEND=containers
# Built before the engine starts, for those who have little memory.
set -- --locked --package nats --package projections --test contract --features harness/containers
cargo nextest --version >/dev/null 2>&1 || scripts/pinned.sh cargo-nextest
export PATH=$PWD/.tools/bin:$PATH
cargo nextest run --no-run "$@"
exec scripts/with-docker.sh scripts/with-images.sh cargo nextest run --test-threads "${TEST_THREADS:-4}" "$@"
