# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
From a simulated bag to a better student, and how much of the gap to its teacher that closes.

The steps are those of docs/tutorial_bags.md: the bag's first two thirds are labelled and learned
from, the next twelfth chooses the weights, and the last quarter, which nothing was chosen on, is
compared with the simulator's truth. Prints a line for each bag: the mean relative error of the
student as it was, of its teacher and of the new student, on the same pixels, those that the
teacher's labels know.
"""
from __future__ import annotations

import argparse
import json
from pathlib import Path
import sys

import numpy as np

from depth_anyevent_ros.cli.main import execute
from depth_anyevent_ros.datasets.bags import open_bag
from depth_anyevent_ros.datasets.sequences import find_sequences, Sequence
from depth_anyevent_ros.evaluation.baselines import MIN_PIXELS, resize_map, valid_truth
from depth_anyevent_ros.evaluation.evaluator import EvaluationSettings, predict
from depth_anyevent_ros.evaluation.protocols import frame_metrics
from depth_anyevent_ros.models import load_student
from depth_anyevent_ros.networks.runtime import TorchRuntime

CONFIG = str(Path(__file__).resolve().parents[1] / 'config' / 'training' / 'finetune.yaml')
TRUTH = 'topic:/truth/inverse_depth/image'
TEACHER = 'teacher'


def run(*words) -> None:
    """Run a command of depth_anyevent; end the process where it fails."""
    if execute([str(word) for word in words]):
        sys.exit(1)


def label(bag: Path, folder: Path, pose: list[str]) -> None:
    """Label the parts of a bag, and the truth of the last."""
    with open_bag(bag) as reader:
        seconds = (reader.end_ns - reader.start_ns) / 1e9
    learn, choose = round(seconds * 2 / 3), round(seconds * 3 / 4)
    for name, options in (('train', ['--end', learn]),
                          ('validation', ['--start', learn, '--end', choose]),
                          ('held_out', ['--start', choose]),
                          ('truth', ['--start', choose, '--teacher', TRUTH])):
        run('label', bag, '--output', folder / name, '--format', 'sequence', *pose, *options)


def errors(folder: Path, checkpoints: dict[str, str]) -> dict[str, float]:
    """Return AbsRel of checkpoints and of the teacher's labels where these are known."""
    truths, labels = (Sequence(find_sequences(folder / name)[0]) for name in ('truth', 'held_out'))
    index_of = {int(time): index for index, time in enumerate(labels.times_ns)}
    found: dict[str, list[float]] = {name: [] for name in (*checkpoints, TEACHER)}
    settings = EvaluationSettings(rate_hz=5)
    for name, path in checkpoints.items():
        runtime = TorchRuntime(load_student(path), 'cpu')
        for frame in predict(truths, runtime, settings):
            time = int(truths.times_ns[frame.label])
            if time not in index_of:
                continue
            known = labels.inverse_depth(index_of[time])
            truth = np.where(np.isfinite(known), truths.inverse_depth(frame.label), np.nan)
            if np.count_nonzero(valid_truth(truth)) < MIN_PIXELS:
                continue
            found[name].append(frame_metrics(
                resize_map(frame.prediction, *truth.shape), truth)['abs_rel'])
            if name == next(iter(checkpoints)):
                found[TEACHER].append(frame_metrics(known, truth)['abs_rel'])
    if not found[TEACHER]:
        sys.exit('no label of the teacher has a truth of the same time')
    return {name: float(np.mean(values)) for name, values in found.items()} | {
        'frames': len(found[TEACHER])}


def main() -> None:
    """Run the whole for each bag."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('bags', nargs='+', type=Path, help='of `depth_anyevent simulate`')
    parser.add_argument('--output', type=Path, default=Path('out/bag_to_student'))
    parser.add_argument('--seeds', type=int, default=1, metavar='N', help='runs on each bag')
    parser.add_argument('--rotation', nargs=4, default=[], metavar=('X', 'Y', 'Z', 'W'),
                        help='of the colour camera, for bags without /tf_static')
    parser.add_argument('--set', nargs='*', default=[], metavar='key=value',
                        help='values of the training configuration')
    parser.add_argument('--json', type=Path, metavar='FILE')
    options = parser.parse_args()
    pose = ['--rotation', *options.rotation] if options.rotation else []
    results = {}
    for bag in options.bags:
        folder = options.output / bag.name
        label(bag, folder, pose)
        after = {}
        for seed in range(options.seeds):
            out = folder / f'seed{seed}'
            run('train', CONFIG, f'data.train={folder / "train"}', f'seed={seed}',
                f'data.validation={folder / "validation"}', f'output={out}', *options.set)
            after[f'after {seed}'] = str(out / 'finetuned.safetensors')
        found = errors(folder, {'before': '', **after})
        gap = found['before'] - found[TEACHER]
        found['closed'] = [(found['before'] - found[name]) / gap if gap > 0 else None
                           for name in after]
        results[bag.name] = found
        print(f'{bag.name}: {found["frames"]} frames, before {found["before"]:.3f}, teacher '
              f'{found[TEACHER]:.3f}, after ' + ', '.join(f'{found[name]:.3f}' for name in after)
              + '; of the gap closed: ' + ', '.join(
                  'there is none' if share is None else f'{share:.0%}'
                  for share in found['closed']), flush=True)
        if options.json:
            options.json.write_text(json.dumps(results, indent=2) + '\n')


if __name__ == '__main__':
    main()
