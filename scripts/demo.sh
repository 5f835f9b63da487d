#!/usr/bin/env bash
# Sets up all it needs, then replays a recording through the nodes and leaves pictures and
# result.json in out/demo.
set -e
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
. "$root/scripts/env.sh"
exec python "$root/scripts/demo.py" "$@"
