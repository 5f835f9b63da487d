# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How a bad checkpoint is refused, for the tests of each kind of file."""
import pytest

from depth_anyevent_ros.networks.checkpoint import CheckpointError, load_checkpoint_bytes


def refusal(data, name='student', **options):
    """Return the message with which the bytes are refused."""
    with pytest.raises(CheckpointError) as error:
        load_checkpoint_bytes(data, name, **options)
    message = str(error.value)
    assert name in message and len(message) < 1000 and message.endswith('.')
    return message
