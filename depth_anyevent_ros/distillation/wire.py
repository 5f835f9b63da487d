# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Messages between a process and its child: JSON values, and arrays behind them.

Through pipes, without pickle. A message is the length of its head as four bytes, the head, a
JSON object whose `arrays` lists types and shapes, and the bytes of the arrays.
"""
from __future__ import annotations

from collections.abc import Mapping
import json
import math
import struct
from typing import Any, BinaryIO

import numpy as np

LENGTH = struct.Struct('>I')
LARGEST_HEAD = 1 << 20
TYPES = {name: np.dtype(name) for name in ('uint8', 'float16', 'float32', 'int64')}


class WireError(ValueError):
    """Bytes that are no message: the other side is not what it should be."""


def send(stream: BinaryIO, kind: str, values: Mapping[str, Any] | None = None,
         **arrays: np.ndarray) -> None:
    """Write a message; OSError where nobody reads any more."""
    listed = {name: [str(array.dtype), list(array.shape)] for name, array in arrays.items()}
    head = json.dumps({'kind': kind, 'values': dict(values or {}), 'arrays': listed}).encode()
    stream.write(LENGTH.pack(len(head)) + head)
    for array in arrays.values():
        stream.write(np.ascontiguousarray(array).data.cast('B'))
    stream.flush()


def receive(stream: BinaryIO) -> tuple[str, dict[str, Any], dict[str, np.ndarray]] | None:
    """Return the next message: kind, values and arrays; None when the other side has ended."""
    length = stream.read(LENGTH.size)
    if len(length) < LENGTH.size:
        return None
    size, = LENGTH.unpack(length)
    if size > LARGEST_HEAD:
        raise WireError(f'a message begins with a head of {size} bytes')
    head = stream.read(size)
    if len(head) < size:
        return None
    try:
        message = json.loads(head)
        arrays = {}
        for name, (kind, shape) in message['arrays'].items():
            dtype, count = TYPES[kind], math.prod(shape)
            data = stream.read(count * dtype.itemsize)
            if len(data) < count * dtype.itemsize:
                return None
            arrays[name] = np.frombuffer(data, dtype).reshape(shape)
        return message['kind'], message['values'], arrays
    except (ValueError, KeyError, TypeError) as error:
        raise WireError(f'a message cannot be read ({type(error).__name__}: {error})') from error
