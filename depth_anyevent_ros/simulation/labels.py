# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labels: the exact truth at regular times, and the picture taken around each of them."""
from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from depth_anyevent_ros.simulation.configuration import Simulation
from depth_anyevent_ros.simulation.exposure import OwnView, Picture, SharedView
from depth_anyevent_ros.simulation.raycaster import Frame
from depth_anyevent_ros.simulation.rendering import sampled_frames, View


class Label(NamedTuple):
    """
    The truth at a time, which is the end of its window of events.

    frame: exact depth and luminance. moving: bool (height, width), pixels that see something
    that moves by itself. flow: float32 (height, width, 2), pixels a second, None unless asked
    for. picture: None without a colour camera; the middle of its exposure is time_ns.
    """

    time_ns: int
    frame: Frame
    moving: np.ndarray
    flow: np.ndarray | None
    picture: Picture | None


class Labeller:
    """Makes the labels of a simulation while its renders pass by."""

    def __init__(self, simulation: Simulation, view: View, flow: bool) -> None:
        self._simulation, self._view, self._flow = simulation, view, flow
        self._times_ns = simulation.label_times_ns()
        self._waiting: list[Label] = []
        self._shared: SharedView | None = None
        self._own: OwnView | None = None
        rgb, period_ns = simulation.rgb, simulation.period_ns
        if rgb is not None and rgb.own_view:
            self._own = OwnView(rgb, simulation.scene, simulation.trajectory, view, period_ns)
        elif rgb is not None:
            self._shared = SharedView(rgb, view, self._times_ns, period_ns)

    @property
    def needs_renders(self) -> bool:
        """Whether it needs renders between its own times."""
        return self._shared is not None

    def add(self, time_ns: int, frame: Frame) -> Iterator[Label]:
        """Take the next render; yield the labels that are complete."""
        while self._times_ns and self._times_ns[0] <= time_ns:
            label_ns = self._times_ns.pop(0)
            exact = frame if label_ns == time_ns and frame.exact \
                else self._view.render(label_ns, keep=False)
            self._waiting.append(self._label(label_ns, exact))
            if label_ns < time_ns:
                yield from self._expose(label_ns, exact)
        yield from self._expose(time_ns, frame)

    def finish(self) -> Iterator[Label]:
        """Yield the labels whose exposure goes beyond the end of the simulation."""
        if self._waiting:
            for time_ns, frame in sampled_frames(
                    self._view, self._simulation.duration_ns, self._shared.end_ns + 1,
                    self._simulation.max_motion_px, self._simulation.max_step_ns):
                if time_ns > self._simulation.duration_ns:
                    yield from self._expose(time_ns, frame)

    def _label(self, time_ns: int, frame: Frame) -> Label:
        picture = None
        if self._own is not None:
            picture = self._own.take(
                time_ns, self._simulation.max_motion_px, self._simulation.max_step_ns)
        flow = self._view.flow(time_ns, frame) if self._flow else None
        return Label(time_ns, frame, self._view.moving(frame), flow, picture)

    def _expose(self, time_ns: int, frame: Frame) -> Iterator[Label]:
        if self._shared is None:
            yield from self._waiting
            self._waiting.clear()
            return
        for picture in self._shared.add(time_ns, frame):
            yield self._waiting.pop(0)._replace(picture=picture)
