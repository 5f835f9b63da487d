# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clips of encoded blocks: in order, encoded once, and in bounded memory."""
import numpy as np
import pytest
import torch

from depth_anyevent_ros.datasets.samples import Samples
from depth_anyevent_ros.distillation.block_lanes import BlockLanes, EncodedBlocks


def block(number, frames=7):
    """Return a block whose pixels say which one and which frame they are."""
    image = np.zeros((frames, 3, 2, 2), np.uint8)
    image[:, 0], image[:, 1] = number, np.arange(frames)[:, None, None]
    label = np.broadcast_to(image[:, 1], (frames, 2, 2)).astype(np.float16)
    return Samples(f'block {number}', '', image, label, np.ones(frames, int), np.arange(frames),
                   np.arange(frames) != 3)


class Encoder:
    """Gives the image back, in two maps; counts the frames."""

    def __init__(self):
        self.frames = 0

    def __call__(self, image):
        self.frames += len(image)
        x = torch.from_numpy(image).float()
        return [x, x[..., :1, :1] + 1]


BLOCKS = [block(0), block(1, 4), block(2, 1), block(3, 6)]
FRAME_BYTES = 2 * (3 * 4 + 3)


@pytest.mark.parametrize('room', [1, 100])
def test_frames_of_a_lane_follow_each_other_until_a_start(room):
    lanes = BlockLanes(EncodedBlocks(Encoder(), room * FRAME_BYTES), 3, 2, seed=0)
    last, seen = [None] * 3, set()
    for _ in range(60):
        clip = lanes.next(BLOCKS)
        image = clip.maps[0].unflatten(0, (2, 3))
        assert torch.equal(clip.maps[1][..., 0, 0], clip.maps[0][..., 0, 0] + 1)
        for lane in range(3):
            (number, first), (same, second) = image[:, lane, :2, 0, 0].int().tolist()
            assert same == number and second == first + 1
            if not clip.starts[lane]:
                assert (number, first - 1) == last[lane]
            last[lane] = number, second
            seen |= {(number, first), (number, second)}
            for label, frame in zip(clip.inverse_depth[:, lane], (first, second)):
                assert label.isnan().all() if frame == 3 else bool((label == frame).all())
    # Block 2 is shorter than a clip.
    assert seen == {(item, frame) for item, frames in ((0, 7), (1, 4), (3, 6))
                    for frame in range(frames)}


def test_every_second_lane_goes_through_the_newest_blocks_alone():
    lanes = BlockLanes(EncodedBlocks(Encoder(), 1000), 2, 2, seed=0, newest=2)
    seen = set()
    for _ in range(40):
        numbers = lanes.next(BLOCKS).maps[0].unflatten(0, (2, 2))[0, :, 0, 0, 0]
        seen |= set(enumerate(numbers.int().tolist()))
    # Block 2 is shorter than a clip.
    assert seen == {(0, 0), (0, 1), (0, 3), (1, 1), (1, 3)}


def test_each_frame_is_encoded_once_where_there_is_room():
    encoder = Encoder()
    encoded = EncodedBlocks(encoder, 18 * FRAME_BYTES)
    for _ in range(3):
        for item in BLOCKS:
            assert encoded.maps(item)[0].shape == item.image.shape
    assert encoder.frames == encoded.nbytes / FRAME_BYTES == 18


def test_the_blocks_used_last_stay():
    encoder = Encoder()
    encoded = EncodedBlocks(encoder, 11 * FRAME_BYTES)
    for item in (BLOCKS[0], BLOCKS[1], BLOCKS[0], BLOCKS[2]):  # 7 + 4, again 7, and 1 too many
        encoded.maps(item)
        assert encoded.nbytes <= 11 * FRAME_BYTES
    assert encoder.frames == 12 and encoded.nbytes == 8 * FRAME_BYTES
    encoded.maps(BLOCKS[0])
    assert encoder.frames == 12
    assert EncodedBlocks(encoder, 1).maps(BLOCKS[0])[0].shape == BLOCKS[0].image.shape
