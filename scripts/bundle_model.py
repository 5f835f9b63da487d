# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Put what a training run left into models/, and enter it in the manifest.

The manifest gets the file's sha256, its configuration and provenance (data, command, seed,
commit), and the figures of an evaluation, as `depth_anyevent evaluate --json` wrote them.
"""
from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
import shutil
import sys

from depth_anyevent_ros.networks.checkpoint import load_checkpoint

MODELS = Path(__file__).resolve().parents[1] / 'models'
MOST_BYTES = 12_000_000
ROLES = ('student', 'teacher', 'mean_map')
# What of an evaluation's result the manifest repeats.
FIGURES = ('frames', 'protocol', 'metrics', 'baselines', 'ratio_to_mean_map', 'worlds')


def entry_of(role: str, path: Path, evaluation: Path | None) -> dict:
    """Return what the manifest says of a file; raise ValueError where it must not ship."""
    data = path.read_bytes()
    if len(data) > MOST_BYTES:
        raise ValueError(f'{path} has {len(data)} bytes; a bundled file has {MOST_BYTES} at most')
    entry = {'role': role, 'sha256': hashlib.sha256(data).hexdigest(), 'bytes': len(data),
             'licence': 'Apache-2.0'}
    if role != 'mean_map':
        checkpoint = load_checkpoint(path)
        if not checkpoint.trained:
            raise ValueError(f'{path} is untrained')
        entry |= json.loads(checkpoint.config.to_json())
    if evaluation:
        result = json.loads(evaluation.read_text(encoding='utf-8'))
        evaluated = result['checkpoint']['sha256']  # the first digits
        if not entry['sha256'].startswith(evaluated):
            raise ValueError(f'{evaluation} is about a checkpoint of sha256 {evaluated}..., but '
                             f'{path} has {entry["sha256"]}')
        if not result.get('memory', True):
            raise ValueError(f'{evaluation} is about the student without its memory')
        # The names say the split: car_validation_00001.
        entry['evaluation'] = {**{key: result[key] for key in FIGURES if key in result},
                               'sequences': sorted(result['sequences'])}
    return entry


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: python scripts/bundle_model.py student out/student/student.safetensors '
               '--name tiny-r-sim.safetensors --evaluation out/student/test.json')
    parser.add_argument('role', choices=ROLES)
    parser.add_argument('file', type=Path)
    parser.add_argument('--name', required=True, help='file name within models/')
    parser.add_argument('--evaluation', type=Path, metavar='JSON')
    arguments = parser.parse_args()
    try:
        entry = entry_of(arguments.role, arguments.file, arguments.evaluation)
    except (ValueError, OSError) as error:
        print(f'bundle_model: {error}', file=sys.stderr)
        return 1
    manifest = json.loads((MODELS / 'manifest.json').read_text(encoding='utf-8'))
    before = manifest[arguments.role]
    if arguments.name in manifest['files'] and arguments.name != before:
        print(f'bundle_model: {arguments.name} is taken by another role', file=sys.stderr)
        return 1
    if arguments.file.resolve() != (MODELS / arguments.name).resolve():
        shutil.copyfile(arguments.file, MODELS / arguments.name)
    manifest['files'].pop(before, None)
    manifest[arguments.role] = arguments.name
    manifest['files'][arguments.name] = entry
    (MODELS / 'manifest.json').write_text(json.dumps(manifest, indent=2) + '\n', encoding='utf-8')
    if before and before != arguments.name:
        (MODELS / before).unlink(missing_ok=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
