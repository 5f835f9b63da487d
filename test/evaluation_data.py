# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Small sequences of which everything is known, for the tests of the evaluation."""
import numpy as np

from depth_anyevent_ros.datasets.sequences import Sequence, SequenceWriter
from depth_anyevent_ros.events.types import Events
from depth_anyevent_ros.geometry.camera import CameraModel

HEIGHT, WIDTH = 42, 56
PERIOD_NS = 50_000_000
MANY = HEIGHT * WIDTH // 4  # events in a window


def slope(index=0):
    """Return inverse depth that rises downward and a little to the right, 1/20 to 1/2 and so."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (0.05 + 0.01 * rows + 0.001 * (columns + index)).astype(np.float32)


def write_labels(path, labels, /, counts=None, image=False, moving=None, **info):
    """Write a sequence with these labels, 20 a second, and so many events in each window."""
    camera = CameraModel(WIDTH, HEIGHT, np.array([[50., 0, 27.5], [0, 50, 20.5], [0, 0, 1]]),
                         np.zeros(5))
    generator = np.random.default_rng(0)
    counts = [MANY] * len(labels) if counts is None else counts
    with SequenceWriter(path, {'source': 'test', 'camera': camera, 'world': 'boxes',
                               'duration_ns': PERIOD_NS * len(labels), 'rate_hz': 20.0,
                               **info}) as writer:
        for i, (label, count) in enumerate(zip(labels, counts)):
            t = np.sort(generator.integers(i * PERIOD_NS, (i + 1) * PERIOD_NS, count))
            writer.add_events(Events(
                t // 1000 * 1000, generator.integers(0, WIDTH, count).astype(np.uint16),
                generator.integers(0, HEIGHT, count).astype(np.uint16),
                generator.integers(0, 2, count).astype(np.uint8)))
            picture = generator.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
            writer.add_label((i + 1) * PERIOD_NS, label, image=picture if image else None,
                             moving=None if moving is None else moving)
    return Sequence(path)
