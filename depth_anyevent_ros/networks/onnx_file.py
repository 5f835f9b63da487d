# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A checkpoint as an ONNX file for one size of input: what it has, and whose it is.

Input `image` is (1, C, H, W) in [0, 1], not normalised; outputs are `inverse_depth` (1, H, W) and
the state. Inputs and outputs of the state are `state_0` ... and `new_state_0` ..., coarsest
level first, all zeros at the start of a sequence. The metadata says of which checkpoint it is.
"""
from __future__ import annotations

import contextlib
import json
import logging
from pathlib import Path
import tempfile
import warnings

import torch

from depth_anyevent_ros.atomic_file import replace_file
from depth_anyevent_ros.networks.checkpoint import Checkpoint
from depth_anyevent_ros.networks.config import check_size
from depth_anyevent_ros.networks.step import Step

METADATA_KEY = 'depth_anyevent_ros'
FORMAT_VERSION = 1
MISSING = 'pip install onnx onnxscript onnxruntime'


def state_names(count: int) -> tuple[list[str], list[str]]:
    """Return the names of the inputs and of the outputs of the state."""
    return ([f'state_{i}' for i in range(count)], [f'new_state_{i}' for i in range(count)])


def facts_of(checkpoint: Checkpoint, size: tuple[int, int]) -> dict:
    """Return what the file says of itself; size is (height, width)."""
    return {'format_version': FORMAT_VERSION, 'sha256': checkpoint.sha256,
            'height': size[0], 'width': size[1], 'name': checkpoint.name,
            'config': json.loads(checkpoint.config.to_json())}


def check_facts(metadata: dict, checkpoint: Checkpoint, size: tuple[int, int], name: str) -> None:
    """Raise ValueError unless a file with this metadata is the checkpoint's, for the size."""
    try:
        found = json.loads(metadata.get(METADATA_KEY, ''))
        found = {key: found[key] for key in ('format_version', 'sha256', 'height', 'width')}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{name} does not say of which checkpoint it was made: make it with '
                         'depth_anyevent export') from error
    expected = facts_of(checkpoint, size)
    for key, what in (('format_version', 'of another version'), ('sha256', 'of another model'),
                      ('height', 'for another size'), ('width', 'for another size')):
        if found[key] != expected[key]:
            raise ValueError(f'{name} is {what}: its {key} is {str(found[key])[:80]}, expected '
                             f'{expected[key]}; make it again with depth_anyevent export')


def export_onnx(checkpoint: Checkpoint, step: Step, size: tuple[int, int], path: Path) -> None:
    """
    Write the file in one step; ValueError for a size that does not fit, ImportError.

    step: of the checkpoint's network, on the CPU. size: (height, width).
    """
    import onnxscript  # noqa: F401  what torch's exporter is made with
    check_size(*size)
    image = torch.zeros(1, checkpoint.config.input.channels, *size)
    state = [torch.zeros(shape) for shape in step.state_shapes(*size)]
    inputs, outputs = state_names(len(state))
    with torch.inference_mode(), _quiet():
        program = torch.onnx.export(
            step.eval(), (image, *state), dynamo=True, verbose=False,
            input_names=['image', *inputs], output_names=['inverse_depth', *outputs])
    program.model.metadata_props[METADATA_KEY] = json.dumps(facts_of(checkpoint, size))
    with tempfile.TemporaryDirectory() as folder:
        program.save(str(Path(folder, 'network.onnx')), external_data=False)
        data = Path(folder, 'network.onnx').read_bytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, data)


@contextlib.contextmanager
def _quiet():
    """Keep from the user what the exporter tells its own makers."""
    log = logging.getLogger('torch.onnx')
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        log.setLevel(level)
