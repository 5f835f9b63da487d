#!/usr/bin/env bash
# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0

# Sets up all that is needed and runs the tests; arguments go to pytest:
#   ./scripts/test.sh -k evt3
set -eo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh
exec python -m pytest "$@"
