# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a stream of events tells of its sensor and its light: hot pixels, flicker, a rate limit."""
from __future__ import annotations

import numpy as np

from depth_anyevent_ros.events.flicker import FlickerWatch
from depth_anyevent_ros.events.hot_pixels import HotPixels
from depth_anyevent_ros.events.rate_control import RateControlWatch
from depth_anyevent_ros.events.sinks import ArraySink
from depth_anyevent_ros.events.watch import COUNTED_HZ, EVERY_NS, Look, StreamWatch


class StreamHealth:
    """
    Watches the events of one sensor while they are decoded.

    mask: bool (height, width), the pixels that are left out; another array when it changes.
    learn: whether hot pixels are learned; without, none are left out. every_ns: of sensor time,
    in which the stream is looked at for a second; counted_hz: see `StreamWatch`. Belongs to the
    thread that decodes; mask, flicker_hz and rate_ceiling may be read by others.
    """

    def __init__(self, width: int, height: int, mask: np.ndarray | None = None,
                 learn: bool = True, every_ns: int = EVERY_NS,
                 counted_hz: int | None = COUNTED_HZ):
        self._hot_pixels = HotPixels(width, height)
        if mask is not None:
            self._hot_pixels.begin_with(mask)
        self._learn = learn
        self._flicker, self._rate_control = FlickerWatch(), RateControlWatch()
        self._watch = StreamWatch(width, height, self._judge, every_ns, counted_hz)

    @property
    def mask(self) -> np.ndarray:
        """The pixels that are left out, bool (height, width)."""
        return self._hot_pixels.mask

    @property
    def masked(self) -> int:
        """How many pixels are left out."""
        return self._hot_pixels.masked

    @property
    def flicker_hz(self) -> int:
        """100 or 120 where the light swings so often, 0 where it does not."""
        return self._flicker.hz or 0

    @property
    def rate_ceiling(self) -> float:
        """Events a second that the stream is held to, 0 where no limit is seen."""
        return self._rate_control.ceiling or 0.0

    def looks(self) -> bool:
        """Return whether the next events have to be taken; the others are told by pass_by()."""
        return self._watch.looks()

    def pass_by(self, t_first: int, t_last: int) -> None:
        """Take the times of events that were not taken."""
        self._watch.pass_by(t_first, t_last)

    def take(self, events: ArraySink, count: int) -> bool:
        """Take the first events of a piece; return whether the mask has changed."""
        before = self._hot_pixels.mask
        self._watch.take(events, count)
        return self._hot_pixels.mask is not before

    def warnings(self) -> list[str]:
        """Return what a user has to know, in sentences."""
        said = []
        if self.flicker_hz:
            said.append(f'The light flickers at {self.flicker_hz} Hz, and the events show that '
                        'rather than what moves. Set the flicker filter of the camera, where it '
                        'has one, or use other light.')
        if self.rate_ceiling:
            said.append(f'The rate of events is held at {self.rate_ceiling / 1e6:.2g} million a '
                        'second, so a limit drops events when most happens: raise that of the '
                        'driver (event rate control), or make the sensor less sensitive.')
        return said

    def _judge(self, look: Look) -> None:
        if self._learn:
            self._hot_pixels.take(look)
        self._flicker.take(look)
        self._rate_control.take(look)
