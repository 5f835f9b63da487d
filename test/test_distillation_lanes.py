# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Lanes: clips that follow each other, and the same ones after a restart."""
import json

import numpy as np
import pytest

from depth_anyevent_ros.datasets.samples import Samples
from depth_anyevent_ros.distillation.clips import Clip, ClipMaker
from depth_anyevent_ros.distillation.lanes import Lanes
from depth_anyevent_ros.distillation.training_config import AugmentationConfig


def samples(index, frames, usable=True):
    """Return samples whose pixels say which sequence and frame they are, and left from right."""
    image = np.zeros((frames, 3, 2, 4), np.uint8)
    image[:, 0], image[:, 2, :, 0] = np.arange(frames)[:, None, None], 200
    image[:, 1] = index
    label = np.full((frames, 2, 4), index, np.float16)
    return Samples(f's{index}', 'car', image, label, np.ones(frames, int), np.arange(frames),
                   np.full(frames, usable))


class Clips:
    """Lanes and the clips that they plan, as arrays."""

    def __init__(self, items, lanes, clip, config, seed):
        self.lanes = Lanes([len(item) for item in items], lanes, clip, config, seed)
        self.maker = ClipMaker(items)

    def next(self):
        return Clip(*(part.numpy() for part in vars(self.maker.make(self.lanes.next())).values()))


SET = [samples(0, 40), samples(1, 23), samples(2, 3), samples(3, 64)]
PLAIN = AugmentationConfig(flip=False, strides=(1, 2), visit_frames=12)


def test_frames_of_a_lane_follow_each_other_until_a_start():
    lanes = Clips(SET, 3, 4, PLAIN, seed=1)
    last, strides, seen, lengths = [None] * 3, set(), set(), []
    for _ in range(200):
        clip = lanes.next()
        assert clip.image.shape == (4, 3, 3, 2, 4) and clip.inverse_depth.shape == (4, 3, 2, 4)
        for lane in range(3):
            frames = clip.image[:, lane, 0, 0, 1].astype(int)
            sequence = int(clip.image[0, lane, 1, 0, 0])
            assert (clip.image[:, lane, 1] == sequence).all()
            assert (clip.inverse_depth[:, lane] == sequence).all()
            stride = frames[1] - frames[0]
            assert (np.diff(frames) == stride).all()
            if clip.starts[lane]:
                lengths.append(4)
            else:
                assert (sequence, frames[0] - stride, stride) == last[lane]
                lengths[-1] += 4 if lane == 2 else 0
            last[lane] = sequence, frames[-1], stride
            strides.add(stride)
            seen.add(sequence)
    # Sequence 2 is shorter than a clip.
    assert strides == {1, 2} and seen == {0, 1, 3} and max(lengths) == 12


def test_a_restored_state_gives_the_same_clips():
    config = AugmentationConfig(polarity_swap=True, gain=0.2, visit_frames=8, zoom=1.5,
                                event_dropout=0.5, event_noise=0.5, standstill=0.7, roll_deg=30)
    lanes = Clips(SET, 3, 4, config, seed=5)
    for _ in range(7):
        lanes.next()
    state = json.loads(json.dumps(lanes.lanes.state()))
    expected = [lanes.next() for _ in range(20)]
    again = Clips(SET, 3, 4, config, seed=99)
    again.lanes.restore(state)
    for clip in expected:
        other = again.next()
        for name in ('image', 'inverse_depth', 'starts', 'gain'):
            np.testing.assert_array_equal(getattr(clip, name), getattr(other, name))


def test_flips_and_swaps_last_for_a_visit():
    config = AugmentationConfig(polarity_swap=True, strides=(1,), visit_frames=12)
    lanes = Clips([samples(1, 12)], 1, 4, config, seed=0)
    kinds, kind = set(), None
    for _ in range(60):
        clip = lanes.next()
        image = clip.image[:, 0]
        left_marked = (image == 200).any((1, 2))[:, 0]
        swapped = (image == 200).any((2, 3))[:, 0]
        assert left_marked.all() or not left_marked.any()
        found = bool(left_marked[0]), bool(swapped[0])
        assert clip.starts[0] or found == kind
        kind = found
        kinds.add(found)
    assert len(kinds) == 4


def test_roll_turns_picture_and_label_alike_about_the_middle():
    cells = np.arange(1, 82, dtype=np.uint8).reshape(9, 9)
    whole = Samples('s', 'car', np.tile(cells, (4, 3, 1, 1)), np.tile(cells, (4, 1, 1)).astype(
        np.float16), np.ones(4, int), np.arange(4), np.full(4, True))
    config = AugmentationConfig(flip=False, strides=(1,), visit_frames=4, roll_deg=180)
    lanes = Clips([whole], 1, 2, config, seed=0)
    pictures = []
    for _ in range(40):
        clip = lanes.next()
        image, label = clip.image[:, 0], clip.inverse_depth[:, 0]
        known = np.isfinite(label)
        np.testing.assert_array_equal(image[:, 0], np.where(known, label, 0))
        np.testing.assert_array_equal(image[0], image[1])
        assert image[0, 0, 4, 4] == cells[4, 4] and known.mean() > 0.7
        pictures.append(image[0, 0])
    still = [np.array_equal(picture, cells) for picture in pictures]
    assert 8 <= sum(still) <= 32
    # What was straight above the middle is on a circle around it, to both sides.
    places = {tuple(np.argwhere(picture == cells[1, 4])[0]) for picture in pictures
              if (picture == cells[1, 4]).any()}
    assert len(places) > 5
    assert all(abs(np.hypot(row - 4, column - 4) - 3) < 0.8 for row, column in places)
    assert {np.sign(column - 4) for _, column in places} == {-1, 0, 1}


def test_zoom_shows_a_part_of_picture_and_label_for_a_visit():
    rows, columns = np.mgrid[:40, :50].astype(np.uint8)
    image = np.stack((rows, np.full_like(rows, 7), columns))[None].repeat(12, 0)
    label = (rows * 1.0 + columns * 64.0).astype(np.float16)[None].repeat(12, 0)
    item = Samples('s', 'car', image, label, np.ones(12, int), np.arange(12), np.ones(12, bool))
    config = AugmentationConfig(flip=False, strides=(1,), visit_frames=12, zoom=2.0)
    lanes = Clips([item], 1, 4, config, seed=0)
    seen, heights = None, []
    for _ in range(60):
        clip = lanes.next()
        row, _, column = clip.image[:, 0].astype(int).swapaxes(0, 1)
        np.testing.assert_array_equal(clip.inverse_depth[:, 0], (row + column * 64.0
                                                                 ).astype(np.float16))
        corners = row[0, 0, 0], row[0, -1, 0], column[0, 0, 0], column[0, 0, -1]
        assert clip.starts[0] or corners == seen
        seen = corners
        heights.append((corners[1] - corners[0] + 1) / 40)
        assert abs(heights[-1] - (corners[3] - corners[2] + 1) / 50) < 0.08
    assert 0.45 < min(heights) < 0.6 and 0.85 < max(heights) <= 1


def test_event_dropout_empties_cells_anew_in_each_frame():
    item = samples(1, 12)
    item.image[:] = 9
    config = AugmentationConfig(flip=False, strides=(1,), visit_frames=12, event_dropout=0.8)
    lanes = Clips([item], 1, 12, config, seed=0)
    shares = []
    for _ in range(200):
        image = lanes.next().image[:, 0]
        assert set(np.unique(image)) <= {0, 9} and image.dtype == np.uint8
        assert (image == image[:, :1]).all()  # all channels of a cell
        assert len({frame.tobytes() for frame in image}) > 1 or image.all()
        shares.append((image > 0).mean())
    assert min(shares) < 0.4 and max(shares) > 0.9 and abs(np.mean(shares) - 0.6) < 0.05
    assert (item.image == 9).all()  # the samples themselves stay


def test_event_noise_shows_events_of_other_cells_in_half_of_the_visits():
    item = Samples('s', 'car', np.zeros((12, 3, 30, 40), np.uint8),
                   np.ones((12, 30, 40), np.float16), np.ones(12, int), np.arange(12),
                   np.ones(12, bool))
    item.image[1:, :, 5, 7], item.image[1:, :, 6, 8] = (200, 10, 0), (0, 90, 200)
    config = AugmentationConfig(flip=False, strides=(1,), visit_frames=12, event_noise=0.6)
    lanes = Clips([item], 2, 12, config, seed=0)
    shares = []
    for _ in range(100):
        for image in lanes.next().image.swapaxes(0, 1):
            # Nothing comes of a frame without events, and of others only what they have.
            assert not image[0].any()
            cells = {tuple(cell) for cell in image[1:].swapaxes(1, 3).reshape(-1, 3)}
            assert cells <= {(0, 0, 0), (200, 10, 0), (0, 90, 200)}
            each = (image[1:] > 0).any(1).mean((1, 2))
            assert np.ptp(each) < 0.12  # one share for the visit
            shares.append(each.mean())
            if shares[-1] > 0.1:
                assert len({frame.tobytes() for frame in image[1:]}) == 11
                assert abs((image[1:, 0] > 0).sum() / (image[1:, 2] > 0).sum() - 1) < 0.2
    plain = np.array(shares) < 0.002
    assert 0.4 < plain.mean() < 0.6 and 0.5 < max(shares) < 0.61
    assert abs(np.mean(np.array(shares)[~plain]) - 0.3) < 0.05
    assert item.image[1:].any(1).sum() == 22  # the samples themselves stay


def test_noise_does_not_grow_with_the_zoom_and_stays_in_the_picture():
    item = Samples('s', 'car', np.zeros((12, 3, 30, 40), np.uint8),
                   np.ones((12, 30, 40), np.float16), np.ones(12, int), np.arange(12),
                   np.ones(12, bool))
    item.image[:, :, 10, 12] = 200, 10, 0
    for changes in ({'event_noise': 0.1}, {'standstill': 1.0}):
        config = AugmentationConfig(flip=False, strides=(1,), visit_frames=12, zoom=3.0,
                                    roll_deg=40, **changes)
        lanes = Clips([item], 4, 4, config, seed=0)
        cells = pairs = beyond = 0
        for _ in range(200):
            clip = lanes.next()
            seen = (clip.image > 0).any(2)
            frames = seen.mean((2, 3)) < 0.1
            cells += seen[frames].sum()
            pairs += (seen[..., 1:] & seen[..., :-1])[frames].sum()
            beyond += (np.isnan(clip.inverse_depth) & seen).sum()
        # Of lone cells that zoom had made three wide, two of three would have such a neighbour.
        assert cells > 1000 and pairs / cells < 0.15 and not beyond


@pytest.mark.parametrize('most', [40, 100])
def test_at_a_standstill_the_label_stays_and_there_is_only_noise(most):
    frames = np.arange(40)
    image = np.zeros((40, 3, 30, 40), np.uint8)
    image[:, 0, :, 5], image[:, 2] = frames[:, None] + 100, 0
    label = np.broadcast_to(frames[:, None, None], (40, 30, 40)).astype(np.float16)
    item = Samples('s', 'car', image, label, np.ones(40, int), frames, np.ones(40, bool))
    config = AugmentationConfig(flip=False, strides=(1, 2), visit_frames=12, standstill=1.0,
                                standstill_frames=most)
    lanes = Clips([item], 1, 4, config, seed=0)
    visits, noise = [], []
    for _ in range(5 * most):
        clip = lanes.next()
        if clip.starts[0]:
            visits.append([])
        for image, label in zip(clip.image[:, 0], clip.inverse_depth[:, 0]):
            still = not (image[0, :, 5] == label[0, 0] + 100).all()
            visits[-1].append((int(label[0, 0]), still))
            if still:
                assert set(np.unique(image)) <= {0, label[0, 0] + 100} and not image[1:].any()
                noise.append((image > 0).any(0).mean())
    assert len(visits) > 10 and min(noise) < 0.005 and 0.2 < max(noise) < 0.45
    for visit in visits[:-1]:
        labels, still = np.array(visit).T
        steps = np.diff(labels)
        assert not still[0] and set(steps[still[1:] == 1]) <= {0}
        assert len(set(steps[still[1:] == 0])) <= 1 and 4 <= len(visit) <= 12 + most
        assert 1 <= still.sum() <= most
        assert (np.diff(np.flatnonzero(still)) == 1).all()  # it stops once
    assert max(sum(still for _, still in visit) for visit in visits) > most / 2


def test_labels_that_say_nothing_are_unknown():
    clip = Clips([samples(0, 8, usable=False)], 1, 4, PLAIN, 0).next()
    assert np.isnan(clip.inverse_depth).all()


def test_sequences_that_are_all_too_short_are_refused():
    with pytest.raises(ValueError, match='the longest has 3'):
        Clips([SET[2]], 1, 4, PLAIN, 0)
