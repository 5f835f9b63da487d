# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The learning rate and the weights' average, as functions of the step."""
from __future__ import annotations

import math

from depth_anyevent_ros.distillation.training_config import TrainingConfig


def learning_rate(config: TrainingConfig, step: int) -> float:
    """
    Return the rate of a step, counted from 0 over all stages.

    It rises over the first warmup_steps of every stage, and falls by one cosine over the run.
    """
    optimizer, begin = config.optimizer, 0
    for stage in config.stages:
        if step < begin + stage.steps:
            break
        begin += stage.steps
    rise = min((step - begin + 1) / (min(optimizer.warmup_steps, stage.steps) + 1), 1)
    fall = (1 + math.cos(math.pi * step / config.steps)) / 2
    return stage.learning_rate * rise * (optimizer.final_share
                                         + (1 - optimizer.final_share) * fall)


def average_share(ema_decay: float, step: int) -> float:
    """
    Return by which share the average of the weights moves towards them in a step.

    Early on it is larger than 1 - ema_decay, 9 / (10 + step), so that the average does not
    remember the random start.
    """
    return 1 - min(ema_decay, (1 + step) / (10 + step))
