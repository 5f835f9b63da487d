# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labels by a teacher, which sees the pictures of a sequence."""
from __future__ import annotations

import cv2
import numpy as np

from depth_anyevent_ros.datasets.samples import (
    area_average, render_inputs, SampleError, Samples, usable_labels)
from depth_anyevent_ros.datasets.sequences import Sequence
from depth_anyevent_ros.distillation.sample_sets import with_labels
from depth_anyevent_ros.networks.checkpoint import CheckpointError, load_checkpoint
from depth_anyevent_ros.networks.input_size import input_size
from depth_anyevent_ros.networks.runtime import TorchRuntime


class TeacherLabels:
    """
    Replaces the truth of samples by what a checkpoint on RGB says; for `load_sample_set`.

    The teacher's inverse depth is relative; the losses fit a scale and a shift anyway.
    """

    def __init__(self, path: str, device: str = 'auto'):
        checkpoint = load_checkpoint(path)
        if checkpoint.config.input.representation != 'rgb':
            raise CheckpointError(f'{path} sees {checkpoint.config.input.representation}, but a '
                                  'teacher has to see rgb: name a checkpoint trained on '
                                  'pictures.')
        self._runtime = TorchRuntime(checkpoint, device)

    def __call__(self, sequence: Sequence, samples: Samples) -> Samples:
        """Return the samples with the teacher's labels, on the samples' grid; SampleError."""
        config, camera = self._runtime.config.input, sequence.camera
        pictures = render_inputs(sequence, config, *input_size(config, camera.width,
                                                               camera.height))
        self._runtime.reset()
        height, width = samples.size
        labels = np.empty((len(samples), height, width), np.float32)
        for index, (picture, _) in enumerate(pictures):
            found = self._runtime.infer(picture.astype(np.float32) / 255)
            labels[index] = cv2.resize(found, (width, height), interpolation=cv2.INTER_AREA)
        if sequence.rectification:
            # Where the lens saw nothing the picture is black, and what a teacher says made up.
            everything = np.ones((camera.height, camera.width), np.float32)
            seen = area_average(sequence.rectification.inverse_depth(everything), height, width)
            labels[:, np.isnan(seen)] = np.nan
        usable = usable_labels(labels, True)
        if not usable.any():
            raise SampleError(f'{sequence.path} has no label to learn from: the teacher sees '
                              'every picture as flat.')
        return with_labels(samples, labels.astype(np.float16), usable)
