# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Polarity as others tell it: 0 and 1, -1 and 1, or bool."""
from dataclasses import replace

import numpy as np
import pytest

from depth_anyevent_ros.events.decoders import DECODERS
from depth_anyevent_ros.events.evt3_encoder import Evt3Encoder
from depth_anyevent_ros.events.packet_encoders import ENCODERS
from depth_anyevent_ros.events.types import Events

START_NS = 1_700_000_000_000_000_000


@pytest.mark.parametrize('encoding', DECODERS)
@pytest.mark.parametrize('other', [
    lambda p: p.astype(bool), lambda p: 2 * p.astype(np.int8) - 1, lambda p: 2.0 * p - 1,
    lambda p: p.astype(np.int64)])
def test_polarity_may_be_told_otherwise(encoding, other):
    rng = np.random.default_rng(17)
    x, y = rng.integers(0, 48, (2, 200)).astype(np.uint16)
    events = Events(START_NS + np.cumsum(rng.integers(0, 40, 200)) * 1000, x, y,
                    rng.integers(0, 2, 200).astype(np.uint8))

    def encode(p):
        written = replace(events, p=p)
        if encoding == 'evt3':
            return Evt3Encoder().encode(replace(written, t=events.t - START_NS))
        return ENCODERS[encoding](START_NS).encode(written)[0]
    np.testing.assert_array_equal(encode(other(events.p)), encode(events.p))
    for wrong in (np.int8(2), np.int8(-2), 0.5):
        with pytest.raises(ValueError, match='polarity has to be 0 or 1, or -1 or 1'):
            encode(np.r_[other(events.p)[:-1], wrong])
    with pytest.raises(ValueError, match='polarity'):
        encode(events.p.astype(np.int8) - 1)  # -1 and 0
