#!/usr/bin/env bash
# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0

# Sets up all that is needed and runs the tests in two processes; arguments go to pytest:
#   ./scripts/test.sh -k evt3
#   ./scripts/test.sh -n 0 -s test/test_training_learns.py   # in one, with what it prints
set -eo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh
# Without the reorder, which puts the groups with the most tests first, not the longest ones.
exec python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder "$@"
