# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""depth_anyevent train: sequences in, a checkpoint out."""
from __future__ import annotations

import shlex

from depth_anyevent_ros.distillation.ablation import is_ablation, run_ablation
from depth_anyevent_ros.distillation.training_config import (
    read_training_config, TrainingConfig)

HELP = """\
Train a teacher or a student on sequence folders. The configuration is a YAML file; each of its
values can be given anew as key=value. An interrupted run goes on with --resume."""
EXAMPLES = """\
  depth_anyevent train config/training/student.yaml output=out/student
  depth_anyevent train config/training/student.yaml output=out/student --resume
  depth_anyevent train config/training/student.yaml seed=1 stages.0.steps=500 threads=2
  depth_anyevent train config/training/ablation.yaml output=out/ablation"""


def add_arguments(parser) -> None:
    """Add the options of this command."""
    parser.add_argument('config', metavar='CONFIG', help='YAML file, as in config/training')
    parser.add_argument('assignments', nargs='*', metavar='key=value',
                        help='a value to use in place of the one in the file, as in seed=1')
    parser.add_argument('--resume', action='store_true',
                        help='go on with the run in the output folder')


def run(arguments) -> tuple[int, dict]:
    """Train one model, or all of an ablation."""
    command = shlex.join(['depth_anyevent', 'train', arguments.config, *arguments.assignments])

    def train(config: TrainingConfig, resume: bool) -> dict:
        # After the configuration was read, so that its mistakes are told at once.
        from depth_anyevent_ros.distillation.trainer import Trainer
        result = Trainer(config, command, resume).train()
        print(f'{result["checkpoint"]}: {result["steps"]} steps in {result["seconds"]:.0f} s, '
              f'{result["frames_per_second"]:.0f} frames/s')
        return result

    if is_ablation(arguments.config):
        result = run_ablation(arguments.config, arguments.assignments, arguments.resume, train)
        print(result['table'], end='')
        return 0, result
    config = read_training_config(arguments.config, arguments.assignments)
    return 0, train(config, arguments.resume)
