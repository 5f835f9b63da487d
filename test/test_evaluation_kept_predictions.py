# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Predictions that are kept for a second look, in memory or not."""
import tracemalloc

from evaluation_data import slope, write_labels
import numpy as np
import pytest

from depth_anyevent_ros.evaluation import kept_predictions
from depth_anyevent_ros.evaluation.kept_predictions import KeptPredictions
from depth_anyevent_ros.evaluation.protocols import PROTOCOLS
from depth_anyevent_ros.evaluation.scoring import Frame, score_sequence


@pytest.mark.parametrize('most', [1 << 20, 100, 1])
def test_predictions_come_back_as_they_were(monkeypatch, most):
    monkeypatch.setattr(kept_predictions, 'MOST_IN_MEMORY', most)
    rng = np.random.default_rng(0)
    given = [rng.random(shape).astype(dtype) for shape in ((3, 4), (5, 2), (3, 4))
             for dtype in (np.float32, np.float64)]
    given.append(rng.random((4, 6), np.float32)[:, ::2])
    with KeptPredictions() as kept:
        assert [kept.add(one) for one in given] == list(range(len(given)))
        for number in (3, 0, 6, 5, 5, 1):
            np.testing.assert_array_equal(kept[number], given[number])
        assert kept.add(given[0]) == len(given) and kept[3].dtype == np.float64
        assert kept._file._rolled == (most < 1000)


def test_a_long_sequence_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_predictions, 'MOST_IN_MEMORY', 1 << 20)
    sequence = write_labels(tmp_path / 'a', [slope()] * 100, counts=[1] * 100)
    size, peaks = (266, 350), []
    for count in (10, 100):
        frames = (Frame(np.random.default_rng(i).random(size, np.float32), i, i % 7 == 3, False)
                  for i in range(count))
        tracemalloc.start()
        assert len(score_sequence(sequence, frames, PROTOCOLS['clean'], None)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 90 * 4 * size[0] * size[1] / 4
