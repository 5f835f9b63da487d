# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""depth_anyevent simulate: events, pictures and exact depth of a simulated rig."""
from __future__ import annotations

from concurrent.futures import as_completed, ThreadPoolExecutor
import contextlib
from dataclasses import replace
import json
import os
from pathlib import Path
import subprocess
import sys
import threading
import time

from tqdm import tqdm

from depth_anyevent_ros.datasets.part_folder import FolderInUse, PartFolder
from depth_anyevent_ros.simulation.factors import ANCHOR, SPLITS
from depth_anyevent_ros.simulation.production import (
    already_made, ENCODINGS, FORMATS, OPTIONS, produce, Recording)
from depth_anyevent_ros.simulation.sensors import SENSORS
from depth_anyevent_ros.simulation.worlds import BINNINGS, WORLDS

# How long processes that are interrupted may take to remove what they began.
PATIENCE_S = 5.0
# Recordings that a process makes one after the other: to start it and to load what is compiled
# takes longer than a short one. The bar moves when they are done.
MOST_IN_A_PROCESS = 8
# Far more than are of use: a list of all of them is made, and each process takes some 200 MB.
MOST_RECORDINGS, MOST_JOBS = 100_000, 256
SHARES = 4  # of the work, for each process at least, so that none is left waiting at the end
PACKAGE_ROOT = Path(__file__).resolve().parents[2]
HELP = """\
Simulate a car in a street, a drone in a building or a camera that is moved before a desk, with
an event camera and a colour camera, into a rosbag2 bag or into a sequence folder for training and
evaluation. Everything follows from world, seed and options: the same ones give the same bytes, on
the same kind of processor."""
EXAMPLES = """\
  depth_anyevent simulate --world car --seed 1 --duration 10 --sensor davis346 --output car_1
  depth_anyevent simulate --world drone --seed 100 --count 20 --duration 20 --format sequence \\
      --split train --jobs 4 --output data/train"""


def add_arguments(parser) -> None:
    """Add the options of this command."""
    parser.add_argument('--world', required=True, choices=WORLDS)
    parser.add_argument('--seed', type=int, default=1, metavar='N',
                        help='number that everything is drawn from (default: %(default)s)')
    parser.add_argument('--duration', type=float, default=10.0, metavar='S',
                        help='seconds (default: %(default)s)')
    parser.add_argument('--sensor', choices=tuple(SENSORS), default='davis346',
                        help='event camera (default: %(default)s)')
    parser.add_argument('--output', required=True, type=Path, metavar='PATH',
                        help='folder to make; with --count the folder of the folders')
    parser.add_argument('--format', choices=tuple(FORMATS), default='bag',
                        help='bag (rosbag2, sqlite3), mcap (rosbag2 in MCAP) or sequence, the '
                        'folder that train and evaluate read (default: %(default)s)')
    parser.add_argument('--encoding', choices=ENCODINGS, default='',
                        help="of the event packets in a bag (default: the sensor's)")
    parser.add_argument('--split', choices=(*SPLITS, ANCHOR), default='train',
                        help='which worlds: to train on, of those that are held out, or of '
                        'kinds that the bundled student was trained on (default: %(default)s)')
    parser.add_argument('--count', type=int, metavar='N',
                        help='make N recordings, of the seeds from --seed on, named '
                        'WORLD_SPLIT_SEED; those that are there already are skipped')
    parser.add_argument('--rate', type=float, default=20.0, metavar='HZ',
                        help='labels and pictures a second (default: %(default)s)')
    parser.add_argument('--level', type=float, metavar='L',
                        help='brightness, 1 for day, 0.0001 for a dark street at night '
                        '(default: drawn)')
    parser.add_argument('--pause', nargs=2, type=float, action='append', default=[],
                        metavar=('START', 'LENGTH'),
                        help='the camera stands still, or the drone hovers, from START s on for '
                        'LENGTH s; may be given several times (default: as drawn)')
    parser.add_argument('--turn', nargs=3, type=float, default=(0.0, 0.0, 0.0),
                        metavar=('ROLL', 'PITCH', 'YAW'),
                        help='the event camera is turned so many degrees against the colour '
                        'camera, to the right, downward, to the left (default: not at all)')
    parser.add_argument('--baseline', type=float, default=0.0, metavar='M',
                        help='the event camera stands so far to the left of the colour camera, '
                        '10 m at most (default: %(default)s)')
    parser.add_argument('--no-images', action='store_true',
                        help='leave the colour camera out, which is faster')
    parser.add_argument('--flow', action='store_true',
                        help='keep the exact motion of the pixels too (sequences)')
    parser.add_argument('--max-motion-px', type=float, default=0.7, metavar='PX',
                        help='no pixel moves further than about this between two renders; more '
                        'is faster and less exact (default: %(default)s)')
    parser.add_argument('--max-step-ms', type=float, default=5.0, metavar='MS',
                        help='longest time between two renders; more is faster where little '
                        'moves (default: %(default)s)')
    parser.add_argument('--binning', type=int, choices=BINNINGS, default=1,
                        help='so many pixels of the sensor along each side are one, which is '
                        'quicker: for training on small inputs (default: %(default)s)')
    parser.add_argument('--jobs', type=int, default=1, metavar='J',
                        help='with --count: processes at a time (default: %(default)s)')


def run(arguments) -> tuple[int, dict]:
    """Simulate."""
    fields = {'duration_s': 'duration', 'rate_hz': 'rate', 'baseline_m': 'baseline'}
    options = {name: getattr(arguments, fields.get(name, name)) for name in OPTIONS}
    first = Recording(images=not arguments.no_images, flow=arguments.flow,
                      pauses=tuple(map(tuple, arguments.pause)),
                      turn_deg=tuple(arguments.turn), **options)
    for option, value, most in (('--count', arguments.count, MOST_RECORDINGS),
                                ('--jobs', arguments.jobs, MOST_JOBS)):
        if value is not None and not 1 <= value <= most:
            raise ValueError(f'{option} has to be within 1 and {most}, got {value}')
    begin = time.monotonic()
    if arguments.count is None:
        results, skipped = _simulate_all({first: arguments.output}, 1), 0
    else:
        wanted = [replace(first, seed=first.seed + k) for k in range(arguments.count)]
        paths = {recording: arguments.output / recording.name for recording in wanted}
        missing = {recording: path for recording, path in paths.items()
                   if not already_made(recording, path)}
        skipped = len(paths) - len(missing)
        results = _simulate_all(missing, min(arguments.jobs, max(len(missing), 1)))
    result = _total(results, arguments.output, skipped, time.monotonic() - begin)
    _report(result)
    return 0, result


def _simulate_all(missing: dict[Recording, Path], jobs: int) -> list[dict]:
    """Simulate one after the other, or in processes; a bar counts the simulated seconds."""
    with _bar(sum(recording.duration_s for recording in missing)) as bar:
        if jobs == 1:
            return [_simulate(recording, path, bar) for recording, path in missing.items()]
        return _Processes(missing, jobs, bar).results()


def _bar(total_s: float) -> tqdm:
    return tqdm(total=round(total_s, 3), unit='s', disable=None,
                bar_format='{l_bar}{bar}| {n:.1f}/{total:g} s simulated [{elapsed}<{remaining}]')


def _simulate(recording: Recording, path: Path, bar: tqdm) -> dict:
    begin = time.monotonic()
    done_before = bar.n

    def progress(time_ns: int) -> None:
        # A picture at the very end is complete a little later than the simulation.
        bar.update(done_before + min(time_ns * 1e-9, recording.duration_s) - bar.n)

    counts = produce(recording, path, progress)
    return {'recordings': [str(path)], 'frames': counts.frames,
            'events': counts.events, 'packets': counts.packets, 'renders': counts.renders or None,
            'simulated_seconds': recording.duration_s,
            'seconds': round(time.monotonic() - begin, 3)}


def _batches(missing: dict[Recording, Path], jobs: int) -> list[dict[Recording, Path]]:
    """Return recordings of seeds that follow each other, as one command can make them."""
    most = min(max(len(missing) // (jobs * SHARES), 1), MOST_IN_A_PROCESS)
    found: list[dict[Recording, Path]] = []
    next_seed = -1
    for recording, path in missing.items():
        if not found or len(found[-1]) >= most or recording.seed != next_seed:
            found.append({})
        found[-1][recording] = path
        next_seed = recording.seed + 1
    return found


class _Processes:
    """Simulates batches of recordings by this very command, each in a process."""

    def __init__(self, missing: dict[Recording, Path], jobs: int, bar: tqdm) -> None:
        self._batches, self._jobs, self._bar = _batches(missing, jobs), jobs, bar
        self._running: dict[subprocess.Popen, list[Path]] = {}
        self._lock, self._stopped = threading.Lock(), False
        # However this process ends, the pipe ends with it, and by that they know.
        self._read_end, self._write_end = os.pipe()

    def results(self) -> list[dict]:
        """Return the results; the first failure stops the others."""
        try:
            with ThreadPoolExecutor(self._jobs) as pool:
                return self._results(pool)
        finally:
            os.close(self._read_end)
            os.close(self._write_end)

    def _results(self, pool: ThreadPoolExecutor) -> list[dict]:
        futures = {pool.submit(self._simulate, batch): batch for batch in self._batches}
        try:
            for future in as_completed(futures):
                future.result()
                self._bar.update(sum(item.duration_s for item in futures[future]))
        except BaseException:
            self._stop()
            pool.shutdown(cancel_futures=True)
            raise
        return [future.result() for future in futures]

    def _simulate(self, batch: dict[Recording, Path]) -> dict:
        first, paths = next(iter(batch)), list(batch.values())
        code = 'from depth_anyevent_ros.cli.child import main; main()'
        words = [*first.command(), '--count', str(len(batch)), '--output', str(paths[0].parent),
                 '--json', '-']
        search = os.pathsep.join([str(PACKAGE_ROOT), os.environ.get('PYTHONPATH', '')])
        with self._lock:
            if self._stopped:
                raise RuntimeError('stopped')
            process = subprocess.Popen(
                [sys.executable, '-c', code, *words], stdin=self._read_end,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                env={**os.environ, 'PYTHONPATH': search.rstrip(os.pathsep)})
            self._running[process] = paths
        output, errors = process.communicate()
        with self._lock:
            del self._running[process]
        if process.returncode:
            raise ValueError(f'seed {first.seed} or after: ' + (
                errors.strip().removeprefix('depth_anyevent simulate: ')
                or f'the process ended with status {process.returncode}'))
        return json.loads(output)

    def _stop(self) -> None:
        """Interrupt the processes, so that they remove what they began."""
        with self._lock:
            self._stopped = True
            running = dict(self._running)
        for process in running:
            process.terminate()
        end = time.monotonic() + PATIENCE_S
        for process, paths in running.items():
            try:
                process.wait(max(end - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                # An interruption is lost at times while loops are being compiled.
                process.kill()
                process.wait()
                for path in paths:
                    with contextlib.suppress(FolderInUse):
                        PartFolder(path).remove()


def _total(results: list[dict], output: Path, skipped: int, seconds: float) -> dict:
    """Add the results up."""
    total = {name: sum(result[name] for result in results)
             for name in ('frames', 'events', 'packets', 'simulated_seconds')}
    # Nobody counts the renders behind the messages of a bag.
    counted = [result['renders'] for result in results]
    renders = None if None in counted else sum(counted)
    busy = max(seconds, 1e-9)
    return {'output': str(output), **total, 'renders': renders, 'seconds': round(seconds, 3),
            'renders_per_second': None if renders is None else round(renders / busy, 1),
            'real_time_factor': round(total['simulated_seconds'] / busy, 3),
            'recordings': [path for result in results for path in result['recordings']],
            'skipped': skipped}


def _report(result: dict) -> None:
    skipped = f', {result["skipped"]} were there already' if result['skipped'] else ''
    print(f'{result["output"]}: {len(result["recordings"])} made{skipped}; '
          f'{result["frames"]} labels, {result["events"]} events, '
          f'{result["simulated_seconds"]:g} s simulated in {result["seconds"]:.1f} s')
