# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a checkpoint says about where it comes from."""
from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
import re
import subprocess

import torch

from depth_anyevent_ros.simulation.worlds import WORLDS

SIMULATED = 'simulated scenes (worlds of this package: {})'
BEFORE = ', and before that on '
# What SIMULATED makes, and the sentences of earlier versions.
SIMULATED_SAID = re.compile(r'simulated scenes \((?:worlds of this package: ([a-z, ]+)|'
                            r'([a-z ]+) worlds of this package)\)')


def provenance(config, data, command: str, step: int, metrics: dict | None,
               start: str | None = None) -> dict:
    """
    Return the provenance of a checkpoint as JSON values; `trained_on` is a sentence.

    start: what the weights were trained on that the run began with, None for random ones.
    """
    worlds = sorted({samples.world for samples in data.train.samples} - {''})
    named = []
    if worlds:
        simulated = set(worlds) <= set(WORLDS)
        named.append(SIMULATED.format(', '.join(worlds)) if simulated
                     else f'sequences of {", ".join(worlds)}')
    labelled = any(samples.relative for samples in data.train.samples)
    if any(not samples.world for samples in data.train.samples):
        named.append(f'sequences of {"labelled bags" if labelled else "unknown origin"}')
    return {
        'trained_on': told_once([' and '.join(named)] + ([] if start is None else [start])),
        'labels': 'teacher' if config.data.teacher or labelled else 'truth',
        'data': {'sequences': len(data.train.samples), 'labels': data.train.frames,
                 'worlds': worlds, 'skipped': len(data.train.skipped)},
        'command': command,
        'seed': config.seed,
        'commit': commit(),
        'step': step,
        'steps': config.steps,
        'validation': metrics,
        'torch': torch.__version__,
    }


def told_once(sentences: Iterable[str], joined: str = BEFORE) -> str:
    """
    Return in one sentence what weights were trained on, the last first.

    Where all of it is simulated it names each world once, else nothing twice. joined: what
    stands between, where it was not one after the other.
    """
    parts = list(dict.fromkeys(part for one in sentences for part in one.split(BEFORE)))
    found = [SIMULATED_SAID.fullmatch(part) for part in parts]
    if not all(found):
        return joined.join(parts)
    worlds = {world for match in found
              for world in re.split(', | and ', match.group(1) or match.group(2))}
    return SIMULATED.format(', '.join(sorted(worlds)))


def commit() -> str | None:
    """Return the commit of this package's repository, None where it is not in one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / '.git').exists():  # installed, maybe below a repository of something else
        return None
    try:
        found = subprocess.run(['git', 'describe', '--always', '--dirty', '--abbrev=40'],
                               cwd=root, capture_output=True, text=True,
                               timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
