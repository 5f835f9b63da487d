# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The anchor set: a few simulated sequences with truth, the domain that the student comes from.

Streets and buildings of the kinds that a student of before was trained on (ANCHOR in factors.py),
and no desks, of which nobody watches what the student forgets. They are made once, a second or
two each, and kept in a folder; the same version of the package makes the same ones.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
import shutil

from depth_anyevent_ros.datasets.samples import load_samples, Samples
from depth_anyevent_ros.datasets.sequences import Sequence
from depth_anyevent_ros.depth_estimator import event_input
from depth_anyevent_ros.networks.config import InputConfig
from depth_anyevent_ros.networks.input_size import input_size
from depth_anyevent_ros.simulation.factors import ANCHOR
from depth_anyevent_ros.simulation.production import already_made, produce, Recording

FIRST_SEED = 900_001
# Half of them in each world; many short ones, since scenes differ more than frames. More of them
# forget less by the step, and leave time for fewer steps (docs/learning.md).
SCENES = 32
QUICK = Recording('car', FIRST_SEED, duration_s=0.5, rate_hz=20.0, format='sequence', binning=2,
                  max_motion_px=2.0, max_step_ms=10.0, split=ANCHOR)


def anchor_recordings(scenes: int = SCENES) -> list[Recording]:
    """Return what the anchor set is made of, by turns of each world."""
    return [replace(QUICK, world=('car', 'drone')[k % 2], seed=FIRST_SEED + k // 2)
            for k in range(scenes)]


def anchor_sequences(folder: Path, scenes: int = SCENES,
                     progress: Callable[[str], None] = lambda _: None) -> list[Sequence]:
    """
    Return so many sequences of a folder; those that are missing, or of another version, are made.

    progress: told a sentence before each. Raises OSError where the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    recordings = anchor_recordings(scenes)
    for index, recording in enumerate(recordings):
        path = folder / recording.name
        if not _made(recording, path):
            progress(f'Simulating sequence {index + 1} of {len(recordings)} of the anchor set.')
            shutil.rmtree(path, ignore_errors=True)
            produce(recording, path)
        found.append(Sequence(path))
    return found


def anchor_samples(sequences: list[Sequence], config: InputConfig) -> list[Samples]:
    """Return the sequences as a student with this input sees events, be it made for pictures."""
    config = event_input(config)
    return [load_samples(sequence, config, *input_size(config, sequence.camera.width,
                                                       sequence.camera.height))
            for sequence in sequences]


def _made(recording: Recording, path: Path) -> bool:
    try:
        return already_made(recording, path)
    except (ValueError, OSError):  # another recording, or half of one
        return False
