# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Event packets in, inverse depth out, without ROS: what the node and the command line share."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from depth_anyevent_ros.events.decoders import DECODERS
from depth_anyevent_ros.events.pipeline import EventPipeline, Window
from depth_anyevent_ros.events.stream_health import StreamHealth
from depth_anyevent_ros.events.surface import LatestEventSurface
from depth_anyevent_ros.events.types import Packet
from depth_anyevent_ros.events.windows import CountWindows, TimeWindows
from depth_anyevent_ros.geometry.camera import CalibrationError, CameraModel
from depth_anyevent_ros.geometry.rectification import Rectification, rectification_of
from depth_anyevent_ros.networks.checkpoint import Checkpoint
from depth_anyevent_ros.networks.config import InputConfig, PATCH
from depth_anyevent_ros.networks.input_size import representation_for
from depth_anyevent_ros.networks.runtimes import make_runtime
from depth_anyevent_ros.networks.runtime import TorchRuntime

# What a network that was trained on RGB images gets of events: the authors' setting for MVSEC.
EVENTS_FOR_RGB = InputConfig('tencode', 50.0, 'first_last', 'resize', 266, 350)
MOST_OVERLAPPING = 100  # windows that one event may fall into


@dataclass(frozen=True)
class WindowSettings:
    """
    How the stream is cut, as a user says it.

    mode: `time` or `count`. rate_hz: windows per second of sensor time. duration_ms: length,
    0 for the checkpoint's. count: events of a window. max_gap_ms: a longer leap of sensor time
    resets the recurrent state.
    """

    mode: str = 'time'
    rate_hz: float = 10.0
    duration_ms: float = 0.0
    count: int = 0
    max_gap_ms: float = 200.0

    def __post_init__(self):
        if self.mode not in ('time', 'count'):
            raise ValueError(f"window.mode is 'time' or 'count', not {self.mode!r}")
        if self.mode == 'count' and self.count < 1:
            raise ValueError("window.mode 'count' needs window.count, the events of a window")
        if not 0.1 <= self.rate_hz <= 1000:
            raise ValueError(f'rate_hz must be from 0.1 to 1000, not {self.rate_hz}')
        if self.duration_ms != 0 and not 0.1 <= self.duration_ms <= 10_000:
            raise ValueError('window.duration_ms must be 0 (as the checkpoint was trained) '
                             f'or from 0.1 to 10000, not {self.duration_ms}')
        if self.duration_ms * self.rate_hz > 1000 * MOST_OVERLAPPING:
            raise ValueError(f'{self.rate_hz} windows a second of {self.duration_ms} ms each '
                             f'overlap more than {MOST_OVERLAPPING} times: lower rate_hz or '
                             'window.duration_ms')
        if not self.max_gap_ms > 0:
            raise ValueError(f'events.max_gap_ms must be above 0, not {self.max_gap_ms}')

    def rule(self, trained_duration_ms: float) -> TimeWindows | CountWindows:
        """Return the rule that cuts windows, for a checkpoint trained with this length."""
        gap_ns = round(self.max_gap_ms * 1e6)
        if self.mode == 'count':
            return CountWindows(self.count, gap_ns)
        period_ns = round(1e9 / self.rate_hz)
        return TimeWindows(round((self.duration_ms or trained_duration_ms) * 1e6), period_ns,
                           max(gap_ns, period_ns))


def event_input(config: InputConfig) -> InputConfig:
    """
    Return how events are given to a checkpoint with this input.

    Raises ValueError for voxel grids, which are there to be compared with, not to be run.
    """
    if config.representation == 'voxel':
        raise ValueError('the checkpoint was trained on voxel grids, but packets of events are '
                         'rendered as Tencode only: use a checkpoint trained on tencode, or '
                         'measure this one with depth_anyevent evaluate')
    return EVENTS_FOR_RGB if config.representation == 'rgb' else config


class DepthEstimator:
    """
    A stream of packets to inverse depth, with the checkpoint's own settings.

    push() cuts and renders windows; infer() runs the student on one. Both belong to one
    thread. Where windows are skipped, say so by what is passed to infer(): the recurrent state
    is reset when any window since the last was interrupted. camera: of the picture that
    windows show, at the size of the sensor; None where it is not known. health_of: see
    `EventPipeline`.
    """

    def __init__(self, checkpoint: Checkpoint, settings: WindowSettings,
                 device: str = 'auto', precision: str = 'auto', runtime: str = 'torch',
                 health_of: Callable[[Packet], StreamHealth] | None = None):
        self.checkpoint = checkpoint
        self._health_of = health_of
        self.settings = settings
        self._placed = device, precision, runtime
        self.runtime = make_runtime(checkpoint, *self._placed)
        self.pipeline = self._new_pipeline()
        self.camera: CameraModel | None = None
        self._rectification: Rectification | None = None
        self._unseen: tuple[Rectification, np.ndarray] | None = None
        self.calibration_problem = ''

    def cautions(self) -> list[str]:
        """Return what a user must know before trusting the output, in sentences."""
        config = self.checkpoint.config
        said = []
        if not self.checkpoint.trained:
            said.append('This student is UNTRAINED: its output has nothing to do with depth. '
                        'Choose a checkpoint.')
        if config.input.representation == 'rgb':
            said.append(f'{self.checkpoint.name} has the keys of Depth Anything V2, which was '
                        'trained on RGB images: unless it was trained on Tencode since, its '
                        'depth from events is a guess.')
        if self.runtime.fallback:
            said.append(self.runtime.fallback)
        if self.calibration_problem:
            said.append(self.calibration_problem)
        return said

    def calibrate(self, camera: CameraModel | None, rectify: bool = True) -> None:
        """
        Take the calibration of the event camera, None for none.

        rectify: put events where they would lie without distortion, which begins the stream
        anew. Where the calibration does not allow that, they stay, and calibration_problem,
        which is among the `cautions`, says why.
        """
        rectification, self.calibration_problem = None, ''
        if rectify:
            try:
                rectification = rectification_of(camera)
            except CalibrationError as error:
                self.calibration_problem = f'The events are not rectified: {error}.'
        if rectification or self._rectification:
            self.pipeline.rectify(rectification.coordinates if rectification else None)
            self.runtime.reset()
        self._rectification = rectification
        self.camera = rectification.camera if rectification else camera

    def push(self, packet: Packet) -> Iterator[Window]:
        """Take the next packet; yield the windows that it completes (see EventPipeline)."""
        return self.pipeline.push(packet)

    def finish(self) -> Iterator[Window]:
        """Yield what the end of the stream still completes."""
        return self.pipeline.finish()

    def infer(self, window: Window, reset: bool = False) -> np.ndarray:
        """
        Return inverse depth, float32 (H, W) at network resolution, larger is nearer.

        NaN where a rectified picture shows what the sensor does not see.
        """
        if reset or window.interrupted:
            self.runtime.reset()
        inverse_depth = self.runtime.infer(window.image)
        if self.pipeline.rectified:
            inverse_depth[self._not_seen(inverse_depth.shape)] = np.nan
        return inverse_depth

    def _not_seen(self, shape: tuple[int, int]) -> np.ndarray:
        known = self._unseen
        if known is None or known[0] is not self._rectification or known[1].shape != shape:
            self._unseen = (self._rectification,
                            ~self._rectification.seen(shape[1], shape[0]))
        return self._unseen[1]

    def reset(self) -> None:
        """Forget the stream and the recurrent state."""
        self.pipeline.reset()
        self.runtime.reset()

    def input_size(self, checkpoint: Checkpoint) -> tuple[int, int]:
        """Return (height, width) of a checkpoint's input for the sensor, or its nominal size."""
        config = event_input(checkpoint.config.input)
        if self.pipeline.size is None:
            return config.height, config.width
        representation = representation_for(config, *self.pipeline.size)
        return representation.height, representation.width

    def runtime_for(self, checkpoint: Checkpoint) -> TorchRuntime:
        """Return what would run another student, warm, on the same device in the same way."""
        runtime = make_runtime(checkpoint, *self._placed)
        runtime.warm_up(*self.input_size(checkpoint))
        return runtime

    def replace_model(self, checkpoint: Checkpoint, runtime: TorchRuntime) -> None:
        """Go on with another student from the next window; its recurrent state is empty."""
        same_input = checkpoint.config.input == self.checkpoint.config.input
        self.checkpoint, self.runtime = checkpoint, runtime
        if not same_input:
            self.pipeline.replace_rules(*self._rules())

    def warm_up(self, width: int, height: int) -> None:
        """Compile and allocate what a sensor of this size needs, so that nothing stalls later."""
        representation = representation_for(event_input(self.checkpoint.config.input), width,
                                            height)
        self._warm_up_runtime((representation.height, representation.width))
        warm_up_loops(width, height)

    def settle_on_this_thread(self) -> None:
        """Warm the student up once more, since torch keeps its worker threads per thread."""
        self.runtime.warm_up(*self.runtime.size or self.input_size(self.checkpoint))

    def adapt_to_sensor(self) -> None:
        """Warm the student up for the sensor that sends, if it is not yet."""
        if self.pipeline.size is not None:
            self._warm_up_runtime(self.input_size(self.checkpoint))

    def _warm_up_runtime(self, size: tuple[int, int]) -> None:
        if self.runtime.size != size:
            self.runtime.warm_up(*size)

    def _new_pipeline(self) -> EventPipeline:
        return EventPipeline(*self._rules(), self._health_of)

    def _rules(self):
        """Return what the checkpoint asks of the pipeline: network input by size, windows."""
        config = event_input(self.checkpoint.config.input)
        return (lambda width, height: representation_for(config, width, height),
                self.settings.rule(config.window_ms))


def warm_up_loops(width: int, height: int) -> None:
    """
    Run the compiled loops of every encoding once, however events are put on the surface.

    They are compiled then where they have never been on this machine, which takes seconds.
    """
    # An event for evt3; what the others say of zeros is of no interest.
    words = np.array([0x8000, 0x6000, 0x0000, 0x2000, 0x8064], '<u2').view(np.uint8)
    elsewhere = np.zeros((height, width, 2), np.float32)
    for encoding, new_decoder in DECODERS.items():
        packet = Packet(words if encoding == 'evt3' else np.zeros(8, np.uint8), encoding, width,
                        height)
        for (coordinates, health), threshold in product(
                ((None, None), (None, StreamHealth(width, height)), (elsewhere, None)), (0, 1)):
            surface = LatestEventSurface(width, height, PATCH, PATCH, coordinates, health,
                                         cell_threshold=threshold)
            decoder = new_decoder(width, height)
            decoder.feed(packet)
            decoder.room()
            decoder.decode_until(None, surface.sink, final=True)
    for size in None, (PATCH, PATCH):
        surface = LatestEventSurface(PATCH, PATCH, PATCH, PATCH, size=size)
        surface.bounds(0, 1)
        surface.tencode(0, 1, 0, 1)
