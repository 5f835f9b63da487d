# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Events in HDF5 as the data set DSEC lays them out, written and read in pieces.

events/x, events/y uint16, events/p uint8, events/t uint32 microseconds since t_offset (int64,
microseconds); ms_to_idx uint64: for every millisecond m the index of the first event with
t >= 1000 m. Gehrig, Aarents, Gehrig and Scaramuzza, DSEC: a Stereo Event Camera Dataset for
Driving Scenarios (2021), https://dsec.ifi.uzh.ch/data-format/.
"""
from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from depth_anyevent_ros.datasets.hdf5_output import Hdf5Output
from depth_anyevent_ros.datasets.sequence_format import COMPRESSION, hdf5_errors, SequenceError
from depth_anyevent_ros.events.types import Events, polarity

# Small enough that a window of few events reads few others, large enough to compress well.
CHUNK = 16384
COLUMNS = {'x': np.uint16, 'y': np.uint16, 'p': np.uint8, 't': np.uint32}
LATEST_US = 2 ** 32 - 1


class EventFileWriter:
    """
    A new file of events of a sensor of the given size; close() completes it.

    Times are nanoseconds and are cut to microseconds; they must not go back, nor beyond the
    71 minutes that 32 bits hold.
    """

    def __init__(self, path: Path, height: int, width: int) -> None:
        self._size = height, width
        self._latest_us = 0
        self._per_ms: list[np.ndarray] = []
        self._covered_ms = 0
        self._held: list[Events] = []
        self._held_count = 0
        self.count = 0
        self._output = Hdf5Output(path)
        for name, dtype in COLUMNS.items():
            self._output.file.create_dataset(f'events/{name}', (0,), dtype, maxshape=(None,),
                                             chunks=(CHUNK,), **COMPRESSION)
        self._output.file['t_offset'] = np.int64(0)

    def add(self, events: Events) -> None:
        """Append events; raise SequenceError for those that the file cannot hold."""
        if not len(events):
            return
        times = np.asarray(events.t) // 1000
        if times[0] < self._latest_us or np.any(np.diff(times) < 0):
            raise SequenceError(f'The times of events have to go on from {self._latest_us} us, '
                                f'but they go from {times[0]} us to {times[-1]} us with '
                                f'{int(np.sum(np.diff(times) < 0))} steps back.')
        if times[-1] > LATEST_US:
            raise SequenceError(f'An event of {times[-1]} us is too late: times are 32 bits of '
                                'microseconds.')
        _check_pixels(events.x, events.y, self._size, 'The packet of events')
        self._latest_us = int(times[-1])
        self._held.append(Events(times, events.x, events.y,
                                 _polarity(events.p, 'The packet of events')))
        self._held_count += len(events)
        if self._held_count >= 4 * CHUNK:
            self._write()

    def close(self) -> None:
        """Write what is held and the index, and close the file."""
        self._write()
        # The first event that is not before a millisecond, up to the one of the last event.
        self._index_until(self._latest_us // 1000 + 1, np.empty(0, np.int64))
        index = np.concatenate(self._per_ms)
        self._output.file.create_dataset('ms_to_idx', data=index.astype(np.uint64),
                                         **COMPRESSION)
        self._output.close()

    def abandon(self) -> None:
        """Close the file as it is; it will be removed."""
        self._output.abandon()

    def _write(self) -> None:
        joined = Events.concatenate(self._held)
        self._held, self._held_count = [], 0
        if not len(joined):
            return
        # The last millisecond may go on in what comes next, but where it begins is known.
        self._index_until(int(joined.t[-1]) // 1000 + 1, joined.t)
        for name in COLUMNS:
            data = self._output.file[f'events/{name}']
            data.resize(self.count + len(joined), axis=0)
            data[self.count:] = getattr(joined, name)
            # At once: where a chunk found no room, HDF5 would read back what was never written.
            self._output.check()
        self.count += len(joined)

    def _index_until(self, end_ms: int, times_us: np.ndarray) -> None:
        """Add the index of all milliseconds before end_ms, times being those not yet written."""
        wanted = np.arange(self._covered_ms, end_ms, dtype=np.int64) * 1000
        self._per_ms.append(self.count + np.searchsorted(times_us, wanted))
        self._covered_ms = max(self._covered_ms, end_ms)


class EventFile:
    """
    A file of events; the layout is checked when it is opened, events when they are read.

    The file is open only while it is read, so that thousands of these may exist, and may go to
    other processes. count: number of events.
    """

    def __init__(self, path: Path, height: int, width: int) -> None:
        self._path, self._size = path, (height, width)
        with hdf5_errors(path), h5py.File(path, 'r') as file:
            missing = [name for name in (*(f'events/{name}' for name in COLUMNS), 'ms_to_idx',
                                         't_offset') if name not in file]
            if missing:
                raise SequenceError(f'{path} lacks {", ".join(missing)}; expected the layout of '
                                    'DSEC.')
            lengths = {name: file[f'events/{name}'].shape for name in COLUMNS}
            self._index = file['ms_to_idx'][:].astype(np.int64)
            self._offset_us = int(file['t_offset'][()])
        if len(set(lengths.values())) != 1 or len(lengths['t']) != 1:
            raise SequenceError(f'{path} has events of lengths that do not agree: {lengths}.')
        self.count, = lengths['t']
        # Files of others may lack the milliseconds behind the last event.
        index = self._index
        if np.any(np.diff(index) < 0) or np.any(index < 0) or np.any(index > self.count) \
                or (self.count and not len(index)):
            raise SequenceError(f'{path} has an index ms_to_idx that does not fit its '
                                f'{self.count} events.')

    def read(self, begin_ns: int, end_ns: int) -> Events:
        """
        Return the events with begin <= t < end, times in ns.

        Raise SequenceError where those are not in order, or not on the sensor.
        """
        begin_us, end_us = (-(-t // 1000) - self._offset_us for t in (begin_ns, end_ns))
        first, last = self._place(begin_us // 1000), self._place(-(-end_us // 1000))
        if first >= last:
            return Events.concatenate([])
        with hdf5_errors(self._path), h5py.File(self._path, 'r') as file:
            t = file['events/t'][first:last].astype(np.int64)
            begin, end = np.searchsorted(t, (begin_us, end_us))
            x, y, p = (file[f'events/{name}'][first + begin:first + end] for name in 'xyp')
        if np.any(np.diff(t) < 0):
            raise SequenceError(f'{self._path} has events whose times go back, between '
                                f'{begin_ns} and {end_ns} ns.')
        if t[0] < begin_us // 1000 * 1000 or t[-1] >= -(-end_us // 1000) * 1000:
            raise SequenceError(f'{self._path} has an index ms_to_idx that does not fit its '
                                f'times near {begin_ns} ns.')
        _check_pixels(x, y, self._size, str(self._path))
        # As compiled loops take them, whatever the file has.
        return Events((t[begin:end] + self._offset_us) * 1000, x.astype(np.uint16, copy=False),
                      y.astype(np.uint16, copy=False), _polarity(p, str(self._path)))

    def _place(self, millisecond: int) -> int:
        """Return the index of the first event at or after a millisecond."""
        if millisecond <= 0:
            return 0
        return int(self._index[millisecond]) if millisecond < len(self._index) else self.count


def _polarity(values: np.ndarray, where: str) -> np.ndarray:
    try:
        return polarity(values)
    except ValueError as error:
        raise SequenceError(f'{where}: {error}') from error


def _check_pixels(x: np.ndarray, y: np.ndarray, size: tuple[int, int], where: str) -> None:
    height, width = size
    if len(x) and (x.min() < 0 or y.min() < 0 or x.max() >= width or y.max() >= height):
        raise SequenceError(f'{where} has x from {x.min()} to {x.max()} and y from {y.min()} to '
                            f'{y.max()}, beyond a sensor of {width} x {height} pixels.')
