#!/usr/bin/env bash
# Sets up all it needs, then lets a student learn on a simulated drive, and leaves a picture and
# result.json in out/demo.
set -e
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
. "$root/scripts/env.sh"
exec python "$root/scripts/demo.py" "$@"
