# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a node compiles before it listens."""
import subprocess
import sys


def test_after_warming_up_no_packet_waits_for_a_compiler():
    # In a process of its own, where no other test has compiled anything.
    program = '''
import importlib, pkgutil
import numpy as np
from numba.core.dispatcher import Dispatcher
import depth_anyevent_ros.events as events
from depth_anyevent_ros.depth_estimator import warm_up_loops
from depth_anyevent_ros.events.evt3_encoder import Evt3Encoder
from depth_anyevent_ros.events.packet_encoders import ENCODERS
from depth_anyevent_ros.events.pipeline import EventPipeline, Representation
from depth_anyevent_ros.events.stream_health import StreamHealth
from depth_anyevent_ros.events.types import Events, Packet
from depth_anyevent_ros.events.windows import TimeWindows

def compiled():
    modules = [importlib.import_module(f'depth_anyevent_ros.events.{found.name}')
               for found in pkgutil.iter_modules(events.__path__)]
    return {(loop.__module__, name): len(loop.signatures) for module in modules
            for name, loop in vars(module).items() if isinstance(loop, Dispatcher)
            and 'encoder' not in loop.__module__}

warm_up_loops(128, 96)
before = compiled()
assert len(before) > 10
t = np.arange(0, 400_000_000, 400_000)
seen = Events(t, *np.random.default_rng(0).integers(0, 96, (2, len(t))).astype(np.uint16),
              np.ones(len(t), np.uint8))
for encoding in ('evt3', *ENCODERS):
    data = Evt3Encoder().encode(seen) if encoding == 'evt3' \\
        else ENCODERS[encoding](0).encode(seen)[0]
    for placement, health, table, large in (
            ('grid', None, False, 0), ('resize', None, False, 0),
            ('grid', StreamHealth(128, 96), False, 0), ('grid', None, True, 0),
            ('grid', None, False, 1), ('grid', StreamHealth(128, 96), False, 1),
            ('grid', None, True, 1)):
        pipeline = EventPipeline(lambda w, h: Representation(42, 56, placement,
                                                             cell_threshold=large),
                                 TimeWindows(50_000_000, 50_000_000, 10**9),
                                 lambda packet: health)
        if table:
            pipeline.rectify(np.zeros((96, 128, 2), np.float32))
        windows = list(pipeline.push(Packet(data, encoding, 128, 96))) + list(pipeline.finish())
        assert len(windows) > 3, encoding
assert compiled() == before, set(compiled().items()) ^ set(before.items())
'''
    done = subprocess.run([sys.executable, '-c', program.replace('\\\\', '\\')], text=True,
                          capture_output=True)
    assert done.returncode == 0, done.stderr
