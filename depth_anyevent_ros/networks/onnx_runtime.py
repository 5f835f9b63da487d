# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A student on a CPU by onnxruntime, where it is installed.

Making the ONNX file takes some seconds, so it is kept in the cache folder, the newest KEEP of
them. One that is damaged, gives another depth or is of another model is made once more; so it is
in every process where onnxruntime cannot give torch's depth at all.
"""
from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from depth_anyevent_ros.model_downloads import cache_folder
from depth_anyevent_ros.networks.checkpoint import Checkpoint
from depth_anyevent_ros.networks.onnx_file import (
    check_facts, export_onnx, FORMAT_VERSION, MISSING, state_names)
from depth_anyevent_ros.networks.proved_runtime import ProvedRuntime, Run
from depth_anyevent_ros.networks.runtime import first_line

KEEP = 8  # files; an adapting student makes one with each promotion


def import_onnxruntime() -> ModuleType:
    """
    Import onnxruntime; ImportError.

    It would collect for its maker what runs on which machine, from the import on. A robot tells
    nobody.
    """
    os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')
    import onnxruntime
    return onnxruntime


def cached_file(sha256: str, size: tuple[int, int]) -> Path:
    """Return where the file of a checkpoint for an input of (height, width) is kept."""
    name = f'{sha256[:16]}_{size[0]}x{size[1]}_v{FORMAT_VERSION}.onnx'
    return cache_folder() / 'onnx' / name


class OnnxRuntime(ProvedRuntime):
    """A checkpoint on the CPU by onnxruntime."""

    program = 'onnxruntime'

    def __init__(self, checkpoint: Checkpoint, device: str = 'auto', precision: str = 'auto'):
        super().__init__(checkpoint, device, precision)
        self._checkpoint = checkpoint
        self._kept = False  # whether the last file was there before

    def version(self) -> str:
        """Return the name and the version of what computes."""
        return f'onnxruntime {import_onnxruntime().__version__}'

    def compile(self, size: tuple[int, int], precision: str) -> Run:
        """Return what runs `Step` for this size (height, width)."""
        path = cached_file(self.sha256, size)
        self._kept = path.exists()
        problem = f'{path} is not there'
        if self._kept:
            try:
                return self._opened(path, size)
            except Exception as error:  # onnxruntime's own have no other base
                problem = first_line(error)
                self.discard(size)
        try:
            export_onnx(self._checkpoint, self._step, size, path)
        except ImportError as error:
            raise ImportError(f'{problem}, and to make it here needs what is not installed '
                              f'({first_line(error)}; {MISSING})') from error
        _keep_newest(path.parent)
        return self._opened(path, size)

    def discard(self, size: tuple[int, int]) -> bool:
        """Remove a file that was there before; return whether the last one was such a file."""
        kept, self._kept = self._kept, False
        if kept:
            cached_file(self.sha256, size).unlink(missing_ok=True)
        return kept

    def _opened(self, path: Path, size: tuple[int, int]) -> Run:
        """Return what runs a file; ValueError if it is another's, or an error of onnxruntime."""
        onnxruntime = import_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(str(path), options,
                                               providers=['CPUExecutionProvider'])
        check_facts(session.get_modelmeta().custom_metadata_map, self._checkpoint, size, str(path))
        names = ['image', *state_names(len(self._step.state_shapes(*size)))[0]]

        def run(inputs):
            feed = {name: np.ascontiguousarray(array) for name, array in zip(names, inputs)}
            return session.run(None, feed)
        return run


def _keep_newest(folder: Path) -> None:
    """Remove all but the newest files."""
    files = sorted(folder.glob('*.onnx'), key=lambda path: path.stat().st_mtime)
    for path in files[:-KEEP]:
        path.unlink(missing_ok=True)
