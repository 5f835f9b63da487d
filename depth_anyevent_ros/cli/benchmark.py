# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""depth_anyevent benchmark: how fast the parts are on this machine."""
from __future__ import annotations

from dataclasses import asdict
import importlib
import os
from pathlib import Path
import platform
import shlex
import sys
import traceback

from depth_anyevent_ros.cli.interruption import INTERRUPTED, is_interruption
from depth_anyevent_ros.datasets.bags import (
    BagError, decode_event_packet, first_message, open_bag, require_event_topics)
from depth_anyevent_ros.networks.value_checks import integer

HELP = """\
Time the parts on this machine. Each case stands beside a baseline that is timed in the same run,
by turns with it, or beside a rate that it has to hold; the ratio is above 1 when the case is
faster. Ctrl-C and errors keep what was measured."""
EXAMPLES = """\
  depth_anyevent benchmark
  depth_anyevent benchmark decode representation --bag recordings/street
  depth_anyevent benchmark label --repeats 3
  depth_anyevent benchmark simulator --repeats 9 --json benchmark.json"""

# Each is a module benchmarks/NAME.py with cases(repeats, seed), an iterator of Case; those of
# WITH_BAGS take recordings too. It is imported when it is needed.
BENCHMARKS = {
    'decode': 'packets to arrays of events',
    'representation': 'packets to Tencode',
    'inference': 'the bundled student, and packets to depth',
    'node': 'inference_node over DDS: what it bears, and what it adds to the time of the model',
    'simulator': 'rendering and events of the simulated worlds',
    'label': 'labels of a bag, beside the bare teacher',
    'training': 'a training step of the recurrent student',
}
PLACES = {'node': 'nodes.node_benchmark'}  # it knows ROS
WITH_BAGS = ('decode', 'representation')


def add_arguments(parser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        'names', nargs='*', metavar='NAME',
        help='; '.join(f'{name}: {what}' for name, what in BENCHMARKS.items())
        + ' (default: all)')
    parser.add_argument('--repeats', type=int, default=5, metavar='N',
                        help='measurements of each case (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, metavar='N',
                        help='of the worlds and weights (default: %(default)s)')
    parser.add_argument('--bag', dest='bags', action='append', default=[], type=Path,
                        metavar='BAG', help='a recording that decode and representation are '
                        'timed on too; may be given again')


def run(arguments) -> tuple[int, dict]:
    """Run the cases and print each as it is done."""
    integer('--repeats', arguments.repeats, 1, 10_000)
    integer('--seed', arguments.seed, 0, 2 ** 31 - 1)  # before minutes of cases without one
    for name in arguments.names:
        if name not in BENCHMARKS:
            raise ValueError(f'there is no benchmark {name}; there are {", ".join(BENCHMARKS)}')
    for bag in arguments.bags:
        _check_bag(bag)
    found, status = [], 0
    try:
        for case in _cases(arguments):
            found.append(asdict(case))
            print(f'{case.name}\n    {case.median:.4g} {case.unit} ({case.min:.4g} to '
                  f'{case.max:.4g}); {case.ratio:.3g} times {case.baseline}', flush=True)
    except (KeyboardInterrupt, Exception) as error:
        if not found:
            raise
        status, why = (INTERRUPTED, 'Interrupted') if is_interruption(error) else \
            (1, f'depth_anyevent benchmark: {type(error).__name__}: {error}')
        if arguments.debug:
            traceback.print_exc()
        print(f'{why}: the {len(found)} cases so far are kept.', file=sys.stderr)
    command = shlex.join(['depth_anyevent', 'benchmark', *arguments.names, *(
        word for bag in arguments.bags for word in ('--bag', bag.name)), '--repeats',
        str(arguments.repeats)])
    return status, {'command': command, 'cases': found, 'repeats': arguments.repeats,
                    'interrupted': bool(status), **machine()}


def _check_bag(path: Path) -> None:
    """Raise BagError or PacketError for a bag whose first packet cannot be decoded."""
    from depth_anyevent_ros.events.decoders import check_packet
    with open_bag(path) as reader:
        topic = require_event_topics(reader)[0]
        first = first_message(reader, topic)
        if first is None:
            raise BagError(f'{path} has no message of {topic}.')
        check_packet(decode_event_packet(first))


def _cases(arguments):
    for name in arguments.names or BENCHMARKS:
        print(f'{name} ...', file=sys.stderr, flush=True)
        module = importlib.import_module(
            f'depth_anyevent_ros.{PLACES.get(name, f"benchmarks.{name}")}')
        more = (arguments.bags,) if name in WITH_BAGS else ()
        yield from module.cases(arguments.repeats, arguments.seed, *more)


def machine() -> dict:
    """Return what the figures depend on: processor, GPU, and versions."""
    import torch
    return {'machine': platform.machine(), 'processor': processor(), 'cpus': os.cpu_count(),
            'gpu': torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            'system': f'{platform.system()} {platform.release()}',
            'python': platform.python_version(), 'torch': torch.__version__}


def processor() -> str:
    """Return the processor's name, '' where it is not told."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(':')[2].strip() for line in lines
                 if line.startswith('model name')), platform.processor())
