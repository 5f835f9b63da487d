# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shards of labels, written without a bag."""
import numpy as np
import pytest

from depth_anyevent_ros.bag_labels.shard_reader import Slot, WITHIN
from depth_anyevent_ros.bag_labels.shard_writers import SequenceShard
from depth_anyevent_ros.datasets.sequences import Sequence
from depth_anyevent_ros.events.pipeline import Window
from depth_anyevent_ros.events.types import Events
from depth_anyevent_ros.geometry.camera import CameraModel


@pytest.mark.parametrize('alignment', ['relative', 'as published'])
def test_maps_that_go_below_0(tmp_path, alignment):
    """Relative ones are shifted; what lies behind the camera in 1/m is unknown."""
    ramp = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    ramp[1, 2] = np.nan
    maps = [ramp, ramp - np.float32(0.5), ramp - np.float32(5e-4), ramp - np.float32(2)]
    camera = CameraModel(4, 3, np.array([[4.0, 0, 1.5], [0, 4.0, 1], [0, 0, 1]]), np.zeros(5))
    shard = SequenceShard(tmp_path / 's', camera, {
        'source': 'a test', 'labels': {'alignment': alignment}})
    one = np.ones(1, np.uint16)
    shard.events(WITHIN, Events(np.zeros(1, np.int64), one, one, one.astype(np.uint8)))
    for index, inverse_depth in enumerate(maps):
        end_ns = 50_000_000 * (index + 1)
        window = Window(None, 0, end_ns, end_ns, 1, False, 1)
        shard.label(Slot(end_ns, window=window), inverse_depth)
    shard.finish()
    hair = np.maximum(maps[2], 0)
    expected = [ramp, ramp, hair, ramp] if alignment == 'relative' else [
        ramp, np.where(maps[1] < 0, np.nan, maps[1]), hair, np.full_like(ramp, np.nan)]
    sequence = Sequence(tmp_path / 's')
    assert sequence.relative == (alignment == 'relative') and len(sequence) == len(maps)
    for found, wanted in zip(map(sequence.inverse_depth, range(len(maps))), expected):
        np.testing.assert_allclose(found, wanted, atol=1e-3)
