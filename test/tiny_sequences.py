# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Small sequences without a simulator: near and far stripes that move, and their events."""
import numpy as np

from depth_anyevent_ros.datasets.sequences import SequenceWriter
from depth_anyevent_ros.events.types import Events
from depth_anyevent_ros.geometry.camera import CameraModel

WIDTH, HEIGHT = 84, 70
PERIOD_NS = 50_000_000


def write_sequence(path, seed=0, labels=12, events_per_label=400, sky=False, images=True,
                   unknown=True, size=(WIDTH, HEIGHT), relative=False, distortion=(0.0,) * 5,
                   scale=1.0):
    """
    Write a sequence of `labels` labels, 50 ms apart, with no events where there are to be none.

    The lower half is near and gets most events, at a place that depends on the seed. relative:
    the labels have no unit, as those of a teacher. scale: what labels are multiplied with.
    """
    rng = np.random.default_rng(seed)
    width, height = size
    camera = CameraModel(width, height, np.array([[60.0, 0, width / 2], [0, 60, height / 2],
                                                  [0, 0, 1]]), np.array(distortion))
    info = {'source': 'simulated', 'camera': camera, 'duration_ns': labels * PERIOD_NS,
            'world': 'car', 'seed': seed}
    if relative:
        info |= {'world': '', 'labels': {'alignment': 'relative'}}
    with SequenceWriter(path, info) as writer:
        for label in range(labels):
            count = events_per_label
            if count:
                writer.add_events(Events(
                    label * PERIOD_NS + np.sort(rng.integers(0, PERIOD_NS // 1000, count)) * 1000,
                    rng.integers(0, width, count, np.uint16),
                    (height * rng.random(count) ** 0.5).astype(np.uint16),
                    rng.integers(0, 2, count, np.uint8)))
            depth = 2 + 20 * (1 - np.arange(height)[:, None] / height) \
                + 2 * np.sin(np.arange(width)[None] / 9 + seed + label / 5)
            inverse_depth = np.zeros(size[::-1], np.float32) if sky \
                else (1 / depth).astype(np.float32)
            if unknown and not sky:
                inverse_depth[:5, :7] = np.nan
            inverse_depth *= 50 * scale if relative else scale
            image = rng.integers(0, 255, (height, width, 3), np.uint8) if images else None
            writer.add_label((label + 1) * PERIOD_NS, inverse_depth, image=image)
    return path
