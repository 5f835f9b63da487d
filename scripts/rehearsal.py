# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What learning while driving does on simulated recordings, without ROS, one after another.

Teacher, labels, trainer and promotion are those of the distillation node; only the clock is
another: so many steps are made in a second of the recording. The same recordings and options
give the same figures. Prints a line for each recording: the mean relative error against the
truth, where there are labels, of the student as it came, the teacher and the running student, in
the last 30 s: of each frame before it is learned from, and on the blocks that were held out for
the decisions, when these were made; with --judge also the running student's on other recordings,
of which it learns nothing.
"""
from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from depth_anyevent_ros.datasets.bags import (
    decode, decode_event_packet, first_message, open_bag)
from depth_anyevent_ros.datasets.samples import compact_tencode, Samples
from depth_anyevent_ros.depth_estimator import event_input
from depth_anyevent_ros.distillation.anchor import anchor_samples, anchor_sequences, SCENES
from depth_anyevent_ros.distillation.labelling import Labeller
from depth_anyevent_ros.distillation.online import OnlineConfig, OnlineLearner
from depth_anyevent_ros.distillation.pairing import FramePairing
from depth_anyevent_ros.distillation.picture_quality import PictureQuality, QualityLimits
from depth_anyevent_ros.distillation.teachers import CheckpointTeacher
from depth_anyevent_ros.evaluation.baselines import resize_map
from depth_anyevent_ros.evaluation.protocols import frame_metrics
from depth_anyevent_ros.events.pipeline import Window
from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.geometry.rig import Rig
from depth_anyevent_ros.geometry.transform import Transform
from depth_anyevent_ros.malloc import keep_large_blocks
from depth_anyevent_ros.models import load_student
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.input_size import representation_for

EVENTS, EVENTS_INFO = '/event_camera/events', '/event_camera/camera_info'
IMAGE, IMAGE_INFO = '/camera/image', '/camera/camera_info'
TRUTH = '/truth/inverse_depth/image'
MAX_GAP_NS, QUEUE_BYTES = 200_000_000, 1 << 30
LAST_NS = 30_000_000_000
OVER_TIME_NS = 10_000_000_000
WRONG: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    'right': lambda found: found,
    'mirrored': lambda found: found[:, ::-1],
    'shifted': lambda found: np.roll(found, found.shape[1] // 8, 1),
    'regions': lambda found: found * np.where(
        np.arange(found.shape[1]) < found.shape[1] // 2, 2.0, 0.5).astype(np.float32)}
TEACHERS = (*WRONG, 'constant')


class WrongTeacher:
    """A teacher whose answers are changed; `constant` gives its first answer for ever."""

    def __init__(self, teacher: CheckpointTeacher, kind: str):
        self._teacher, self._kind = teacher, kind
        self._first: np.ndarray | None = None
        self.name, self.sha256 = f'{kind} {teacher.name}', teacher.sha256

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """See `Teacher`."""
        if self._kind != 'constant':
            return np.ascontiguousarray(WRONG[self._kind](self._teacher(picture)))
        if self._first is None:
            self._first = self._teacher(picture)
        return self._first


class Moment(NamedTuple):
    """A picture, RGB (H, W, 3), the window that ends with it, and true inverse depth."""

    picture: np.ndarray
    window: Window
    truth: np.ndarray


class Recording:
    """A bag of the simulator: its moments, and what brings labels into the events' view."""

    def __init__(self, path: Path, config, rate_hz: float):
        self.path, self._config, self._period_ns = path, config, round(1e9 / rate_hz)
        with open_bag(path) as reader:
            self._event, self._color = (
                CameraModel.from_info(decode(first_message(reader, topic)))
                for topic in (EVENTS_INFO, IMAGE_INFO))
        pose = json.loads((path / 'simulation.json').read_text())['color_to_event']
        self._rig = Rig('auto', self._event, self._color,
                        Transform.from_quaternion(*pose['rotation'], pose['translation']))

    def registration(self, picture_size: tuple[int, int], map_size: tuple[int, int]):
        """See `Labeller`."""
        return self._rig.registration((self._event.width, self._event.height), picture_size,
                                      map_size)

    def moments(self) -> Iterator[Moment]:
        """Yield moments in order, with a progress bar."""
        pairing = FramePairing(
            lambda width, height: representation_for(self._config, width, height),
            round(self._config.window_ms * 1e6), MAX_GAP_NS, 'ros', QUEUE_BYTES)
        truths, waiting, last_ns = {}, [], 0
        with open_bag(self.path) as reader:
            total = sum(reader.topics[topic].count for topic in (EVENTS, IMAGE, TRUTH))
            for raw in tqdm(reader.messages([EVENTS, IMAGE, TRUTH]), self.path.name, total,
                            leave=False, disable=None):
                if raw.topic == EVENTS:
                    waiting.extend(pairing.add_packet(decode_event_packet(raw)))
                elif raw.topic == IMAGE:
                    stamp, image = _image(raw, np.uint8, (3,))
                    picture = np.ascontiguousarray(image[..., ::-1])
                    waiting.extend(pairing.add_picture(stamp, (stamp, picture)))
                else:
                    stamp, image = _image(raw, np.float32, ())
                    truths[stamp] = image
                while waiting and waiting[0].picture[0] in truths:
                    pair = waiting.pop(0)
                    stamp, picture = pair.picture
                    truth = truths.pop(stamp)
                    if stamp - last_ns >= 0.9 * self._period_ns:
                        last_ns = stamp
                        yield Moment(picture, pair.window, truth)


class Seen(NamedTuple):
    """A label, and the truth where the label says anything."""

    label: np.ndarray
    truth: np.ndarray

    def errors(self, maps: list[np.ndarray]) -> list[float]:
        """Return AbsRel of maps and of the label."""
        return _errors([*maps, self.label], self.truth)


class Runner:
    """Runs a network over the windows of a recording, as they are learned."""

    def __init__(self, network: DepthNetwork, config):
        self._network, self._state = network, None
        self._mean, self._std = (torch.tensor(values)[:, None, None]
                                 for values in (config.mean, config.std))

    @torch.no_grad()
    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return inverse depth (h, w) of the image of a window, uint8 (C, h, w)."""
        image = torch.from_numpy(image).float() / 255
        found, self._state = self._network(((image - self._mean) / self._std)[None], self._state)
        return found[0].numpy()


class Rehearsal:
    """A learner, and the recordings that it goes through."""

    def __init__(self, arguments: argparse.Namespace):
        self._student = load_student(arguments.checkpoint)
        self._config = event_input(self._student.config.input)
        anchors = anchor_sequences(arguments.anchor, arguments.anchor_scenes,
                                   lambda sentence: print(sentence, flush=True))
        self.learner = OnlineLearner(
            self._student, anchor_samples(anchors, self._config),
            OnlineConfig(learning_rate=arguments.learning_rate, seed=arguments.seed,
                         precision=arguments.precision))
        self._teacher = WrongTeacher(CheckpointTeacher.from_file(arguments.teacher),
                                     arguments.answers)
        self._rate_hz = arguments.label_rate
        self._steps_a_label = arguments.steps_per_second / arguments.label_rate
        self._decide_every, self._decided_at = arguments.decide_every, 0
        self._stretches = 0  # of the recordings so far, each of which counts its own

    def learn(self, path: Path) -> dict:
        """Go through a recording; return what came of it."""
        recording = Recording(path, self._config, self._rate_hz)
        labeller = Labeller(self._teacher, PictureQuality(QualityLimits()),
                            recording.registration)
        learner = self.learner
        before = learner.steps, learner.promotions, learner.kept_back
        frozen, running = (Runner(network, self._config)
                           for network in (self._student.network, learner.running))
        found, promoted_s, reasons, doubts, due, starts = [], [], [], {}, 0.0, None
        seen, held_out = {}, []
        former = {block.name for block in learner.buffer.held_out}
        first = self._stretches
        for picture, window, truth in recording.moments():
            self._stretches = first + window.stretch + 1
            starts = window.t_end if starts is None else starts
            image = compact_tencode(window.image)
            maps = [frozen(image), running(image)]
            label = labeller.label(picture, window)
            if label is None:
                continue
            seen[window.t_end] = Seen(label.inverse_depth, np.where(
                np.isfinite(label.inverse_depth), truth, np.nan))
            found.append((window.t_end, *seen[window.t_end].errors(maps)))
            if label.doubt:
                kind = label.doubt.partition(':')[0].partition('(')[0].strip()
                doubts[kind] = doubts.get(kind, 0) + 1
                if labeller.check.to_forget is not None:
                    stretch, since_ns = labeller.check.to_forget
                    learner.forget(first + stretch, since_ns)
                continue
            learner.add(replace(label.frame, stretch=first + label.frame.stretch))
            due += self._steps_a_label
            while due >= 1 and learner.ready:
                due -= 1
                learner.step()
                if learner.undecided and learner.steps - self._decided_at >= self._decide_every:
                    self._decided_at = learner.steps
                    blocks = learner.buffer.held_out
                    verdict = learner.consider()
                    if verdict.decided:
                        held_out += self._on_blocks(seen, former, blocks)
                    reasons.append(verdict.reason)
                    if verdict.promote:
                        promoted_s.append(round((window.t_end - starts) / 1e9, 1))
        held_out += self._on_blocks(seen, former, learner.buffer.held_out)
        ends, errors = np.array([row[0] for row in found]), np.array([row[1:] for row in found])
        bins = (ends - starts) // OVER_TIME_NS
        steps, promotions, kept_back = (now - then for now, then in zip(
            (learner.steps, learner.promotions, learner.kept_back), before))
        return {'recording': path.name, **_summary(found, ends[-1]),
                'held_out': _summary(held_out, ends[-1]),
                'old_domain': learner.anchor_running / learner.anchor_first,
                'labels': len(found), 'doubted': doubts,
                'edges': {name: round(value, 3)
                          for name, value in labeller.check.means().items()},
                'flip': round(labeller.check.flip, 3), 'steps': steps,
                'promotions': promotions, 'kept_back': kept_back, 'promoted_s': promoted_s,
                'decisions': reasons,
                'over_time': [[int(k * OVER_TIME_NS / 1e9), *np.nanmean(errors[bins == k], 0)]
                              for k in np.unique(bins)]}

    def _on_blocks(self, seen: dict[int, Seen], former: set[str],
                   blocks: list[Samples]) -> list[tuple]:
        """
        Return time and errors of frozen student, running student and teacher, by frame.

        former: blocks of the recording before.
        """
        found = []
        for block in blocks:
            if block.name in former:
                continue
            runners = [Runner(network, self._config)
                       for network in (self._student.network, self.learner.running)]
            for image, time_ns in zip(block.image, block.times_ns.tolist()):
                maps = [runner(image) for runner in runners]
                found.append((time_ns, *seen[time_ns].errors(maps)))
        return found

    def judge(self, path: Path) -> float:
        """Return the running student's mean error on a recording, over the whole view."""
        runner = Runner(self.learner.running, self._config)
        return float(np.nanmean([
            _errors([runner(compact_tencode(window.image))], truth)[0]
            for _, window, truth in Recording(path, self._config, self._rate_hz).moments()]))


def _summary(found: list[tuple], end_ns: int) -> dict:
    """Return mean errors of the last 30 s of rows of time, frozen, running and teacher."""
    last = np.array([row[1:] for row in found if row[0] > end_ns - LAST_NS] or [[np.nan] * 3])
    frozen, running, teacher = np.nanmean(last, 0).tolist()
    return {'frozen': frozen, 'teacher': teacher, 'after': running, 'frames': len(last),
            'gap_closed': (frozen - running) / (frozen - teacher)}


def _image(raw, dtype: type, channels: tuple) -> tuple[int, np.ndarray]:
    """Return the stamp in ns and the pixels of an image."""
    message = decode(raw)
    stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
    return stamp, np.frombuffer(message.data, dtype).reshape(message.height, message.width,
                                                             *channels)


def _errors(maps: list[np.ndarray], truth: np.ndarray) -> list[float]:
    """Return AbsRel by the clean protocol, NaN where nothing of the truth is known."""
    try:
        return [frame_metrics(resize_map(np.nan_to_num(values), *truth.shape), truth)['abs_rel']
                for values in maps]
    except ValueError:  # nothing but sky
        return [float('nan')] * len(maps)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='examples, in a shell that has sourced scripts/env.sh:\n'
        '  python scripts/rehearsal.py out/demo/recordings/car_*\n'
        '  python scripts/rehearsal.py A B A --judge A2 B2 --json memory.json\n'
        '  python scripts/rehearsal.py A --answers mirrored')
    parser.add_argument('bags', nargs='+', type=Path, metavar='BAG',
                        help='recordings by simulate, in bags with pictures')
    parser.add_argument('--judge', nargs='+', type=Path, default=[], metavar='BAG',
                        help='recordings to judge by after each, of which nothing is learned')
    parser.add_argument('--answers', choices=TEACHERS, default='right',
                        help="the teacher's answers are changed so (default: %(default)s)")
    parser.add_argument('--checkpoint', default='', help='student (default: the bundled one)')
    parser.add_argument('--teacher', default='', help='teacher (default: the bundled one)')
    parser.add_argument('--anchor', type=Path, default=Path('out/demo/recordings/anchor'),
                        help='folder of the anchor set (default: %(default)s)')
    parser.add_argument('--anchor-scenes', type=int, default=SCENES, metavar='N',
                        help='(default: %(default)s)')
    parser.add_argument('--steps-per-second', type=float, default=2.0, metavar='N',
                        help='of the recording (default: %(default)s, as two cores make)')
    parser.add_argument('--label-rate', type=float, default=5.0, metavar='HZ',
                        help='(default: %(default)s)')
    parser.add_argument('--learning-rate', type=float, default=OnlineConfig().learning_rate)
    parser.add_argument('--decide-every', type=int, default=60, metavar='STEPS',
                        help='(default: %(default)s)')
    parser.add_argument('--precision', choices=('auto', 'fp32', 'bf16'), default='fp32',
                        help='of the steps, as train.precision of the node (default: fp32, which '
                        'gives the same figures on other processors)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--json', type=Path, help='file for the figures')
    arguments = parser.parse_args()
    keep_large_blocks()
    torch.set_flush_denormal(True)
    rehearsal = Rehearsal(arguments)
    titles = ['first', *(path.name for path in arguments.judge)]
    results = [{'recording': '', 'judged': {path.name: rehearsal.judge(path)
                                            for path in arguments.judge}}]
    for path in arguments.bags:
        result = rehearsal.learn(path)
        result['judged'] = {other.name: rehearsal.judge(other) for other in arguments.judge}
        results.append(result)
        print(f'{path.name}: frozen {result["frozen"]:.3f}, teacher {result["teacher"]:.3f}, '
              f'after {result["after"]:.3f} (gap closed {result["gap_closed"]:.2f}), old domain '
              f'x{result["old_domain"]:.3f}; {result["labels"]} labels, doubted '
              f'{result["doubted"] or 0}, {result["steps"]} steps, promoted at '
              f'{result["promoted_s"]} s, {result["kept_back"]} kept back; on held-out blocks '
              f'{result["held_out"]["frozen"]:.3f}, {result["held_out"]["teacher"]:.3f}, '
              f'{result["held_out"]["after"]:.3f} (gap closed '
              f'{result["held_out"]["gap_closed"]:.2f})', flush=True)
    if arguments.judge:
        print(''.join(f'{title:>34}' for title in ['after', *titles[1:]]))
        for result in results:
            print(f'{result["recording"] or "as it came":>34}' + ''.join(
                f'{value:>34.3f}' for value in result['judged'].values()))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + '\n')


if __name__ == '__main__':
    main()
