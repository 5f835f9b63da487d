# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""depth_anyevent export: a checkpoint as an ONNX file."""
from __future__ import annotations

import argparse
from pathlib import Path
import time

from depth_anyevent_ros.depth_estimator import event_input
from depth_anyevent_ros.models import load_student
from depth_anyevent_ros.networks.input_size import input_size
from depth_anyevent_ros.networks.onnx_file import export_onnx, MISSING, state_names
from depth_anyevent_ros.networks.onnx_runtime import cached_file
from depth_anyevent_ros.networks.runtime import TorchRuntime

HELP = """\
Write a checkpoint as an ONNX file for one size of input, with its recurrent state as inputs and
outputs. Normalisation is in it; the events have to be drawn as Tencode. Without --output it goes
where `runtime: onnxruntime` looks for it, so that a robot needs onnxruntime alone."""
EXAMPLES = """\
  depth_anyevent export --sensor 346x260
  depth_anyevent export --checkpoint student.safetensors --sensor 1280x720 --output student.onnx
  depth_anyevent export --size 252x196 --output student.onnx"""


def add_arguments(parser) -> None:
    """Add the options of this command."""
    parser.add_argument('--checkpoint', default='', metavar='FILE',
                        help='the student (default: the bundled one)')
    size = parser.add_mutually_exclusive_group()
    size.add_argument('--sensor', type=width_and_height, metavar='WxH', default=(346, 260),
                      help='the sensor whose events it is for (default: 346x260)')
    size.add_argument('--size', type=width_and_height, metavar='WxH',
                      help='the input of the network, multiples of 14')
    parser.add_argument('--output', metavar='FILE', help='the ONNX file to write')


def run(arguments) -> tuple[int, dict]:
    """Export, and say what the file has."""
    begin = time.monotonic()
    checkpoint = load_student(arguments.checkpoint)
    size = arguments.size[::-1] if arguments.size else \
        input_size(event_input(checkpoint.config.input), *arguments.sensor)
    path = Path(arguments.output) if arguments.output else cached_file(checkpoint.sha256, size)
    step = TorchRuntime(checkpoint, 'cpu').step()
    try:
        export_onnx(checkpoint, step, size, path)
    except ImportError as error:
        raise ValueError(f'an ONNX file cannot be made ({error}): {MISSING}') from error
    inputs, outputs = state_names(len(step.state_shapes(*size)))
    result = {'file': str(path), 'checkpoint': checkpoint.name, 'sha256': checkpoint.sha256,
              'height': size[0], 'width': size[1], 'bytes': path.stat().st_size,
              'inputs': ['image', *inputs], 'outputs': ['inverse_depth', *outputs],
              'seconds': round(time.monotonic() - begin, 3)}
    print(f'{path}: {checkpoint.name} for an input of {size[1]}x{size[0]}, '
          f'{result["bytes"] / 1e6:.1f} MB, {len(inputs)} tensors of state')
    return 0, result


def width_and_height(text: str) -> tuple[int, int]:
    """Return (width, height) of `346x260`."""
    parts = text.lower().split('x')
    if len(parts) != 2 or not all(part.isdecimal() and 0 < int(part) < 10_000 for part in parts):
        raise argparse.ArgumentTypeError(f'{text!r} is no size: expected WIDTHxHEIGHT, 346x260')
    return int(parts[0]), int(parts[1])
