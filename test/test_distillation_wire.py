# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages between a process and its child."""
import io

import numpy as np
import pytest

from depth_anyevent_ros.distillation.wire import receive, send, WireError


def test_messages_come_as_they_were_sent():
    stream = io.BytesIO()
    image = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    send(stream, 'frame', {'time_ns': 2 ** 62}, image=image, label=np.float16([[np.nan, 1]]))
    send(stream, 'pause', {'paused': True})
    stream.seek(0)
    kind, values, arrays = receive(stream)
    assert (kind, values) == ('frame', {'time_ns': 2 ** 62})
    np.testing.assert_array_equal(arrays['image'], image)
    np.testing.assert_array_equal(arrays['label'], np.float16([[np.nan, 1]]))
    assert receive(stream) == ('pause', {'paused': True}, {})
    assert receive(stream) is None


@pytest.mark.parametrize('data', [
    b'\xff\xff\xff\xff', b'\0\0\0\2[]', b'\0\0\0\2{}', b'\0\0\0\5hello'])
def test_other_bytes_are_no_messages(data):
    with pytest.raises(WireError):
        receive(io.BytesIO(data))


def test_a_message_that_breaks_off_is_the_end():
    stream = io.BytesIO()
    send(stream, 'frame', image=np.zeros(100, np.uint8))
    for cut in (2, 10, stream.tell() - 1):
        assert receive(io.BytesIO(stream.getvalue()[:cut])) is None
