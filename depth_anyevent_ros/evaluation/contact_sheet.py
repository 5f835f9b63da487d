# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A picture of an evaluation: events, image, truth, prediction and error of a few frames."""
from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depth_anyevent_ros.datasets.sequences import Sequence, SequenceError
from depth_anyevent_ros.evaluation.baselines import MAX_DEPTH_M
from depth_anyevent_ros.evaluation.pictures import events_picture, save_figure
from depth_anyevent_ros.evaluation.scoring import Frame
from depth_anyevent_ros.events.surface import rectified

ERROR_LIMIT = 0.5  # of the truth; the error's colours end here
UNKNOWN = '#9a9a9a'
COLUMN_INCHES = 2.15
DPI = 150


@dataclass(frozen=True)
class Row:
    """
    One frame of the sheet.

    events: rgb8 (H, W, 3). image: rgb8 or None. truth: metres, inf in the sky, NaN unknown.
    prediction: aligned, metres. error: share of the truth, NaN where the protocol scores nothing.
    """

    title: str
    events: np.ndarray
    image: np.ndarray | None
    truth: np.ndarray
    prediction: np.ndarray
    error: np.ndarray


def choose_sequences(paths: Items[Path], rows: int) -> set[Path]:
    """Return the sequences to show: the worlds by turns, spread evenly over each world's."""
    worlds: dict[str, list[Path]] = {}
    for path in paths:
        try:
            worlds.setdefault(Sequence(path).world, []).append(path)
        except SequenceError:  # the evaluation counts it as skipped
            continue
    chosen: set[Path] = set()
    for index, (_, members) in enumerate(sorted(worlds.items())):
        share = rows // len(worlds) + (index < rows % len(worlds))
        count = min(share, len(members))
        chosen |= {members[(2 * i + 1) * len(members) // (2 * count)] for i in range(count)}
    return chosen


class ContactSheet:
    """
    Collects one frame of each chosen sequence while they are evaluated, and draws them.

    Which frame is settled by its place, not by its score: the first from the middle of the
    sequence on that lies in no pause and has enough events, or else the last of every tenth label,
    or else the first that was scored.
    """

    def __init__(self, chosen: set[Path], window_ms: float):
        self._chosen, self._window_ns = set(chosen), round(window_ms * 1e6)
        self._rows: dict[Path, Row] = {}
        self._settled: set[Path] = set()

    def see(self, sequence: Sequence, frame: Frame, inverse_depth: np.ndarray,
            depth: np.ndarray, error: np.ndarray) -> None:
        """Take a scored frame, as of `score_sequence`, if it is to be shown."""
        path = sequence.path
        if path not in self._chosen or path in self._settled:
            return
        middle = frame.label >= len(sequence) // 2
        if middle and not (frame.few or frame.paused):
            self._settled.add(path)
        elif path in self._rows and frame.label % 10:  # stand-ins, in case that no frame will do
            return
        self._rows[path] = self._row(sequence, frame, inverse_depth, depth, error)

    def replace(self, path: Path, later: Items[Path]) -> None:
        """Show the next of `later`, which are not evaluated yet, if one to show is of no use."""
        if path in self._chosen:
            self._rows.pop(path, None)  # of a sequence that broke off
            self._chosen.update([item for item in later if item not in self._chosen][:1])

    def write(self, path: str | Path, heading: str) -> int:
        """Write the sheet as a picture (the ending says which kind); return its rows."""
        if self._rows:
            save_figure(draw(list(self._rows.values()), heading), path, DPI)
        return len(self._rows)

    def _row(self, sequence: Sequence, frame: Frame, inverse_depth: np.ndarray,
             depth: np.ndarray, error: np.ndarray) -> Row:
        end_ns = int(sequence.times_ns[frame.label])
        begin_ns = end_ns - self._window_ns
        camera, events = sequence.camera, sequence.events(begin_ns, end_ns)
        if sequence.rectification:
            events = rectified(events, sequence.rectification.coordinates)
        try:
            image = sequence.picture(frame.label)
        except SequenceError:  # a student needs none, and its figures do not hang on the sheet
            image = None
        with np.errstate(divide='ignore'):
            truth = 1 / inverse_depth
        title = (f'{sequence.name}, {end_ns / 1e9:.1f} s: mean relative error '
                 f'{np.nanmean(error):.3f}')
        return Row(title, events_picture(events, camera.width, camera.height, begin_ns, end_ns),
                   None if image is None else image[..., ::-1], truth, depth, error)


def draw(rows: list[Row], heading: str):
    """Return the sheet as a matplotlib figure."""
    from matplotlib.figure import Figure  # imported here, since only pictures need it
    aspect = max(row.truth.shape[0] / row.truth.shape[1] for row in rows)
    line = COLUMN_INCHES * aspect + 0.27
    size = 5 * COLUMN_INCHES + 0.95, len(rows) * line + 1.12
    figure = Figure(figsize=size, facecolor='white')
    figure.text(0.1 / size[0], 1 - 0.24 / size[1], heading, fontsize=11, weight='bold',
                va='center')
    titles = ('events (red brighter, blue darker)', 'image', 'true depth', 'predicted depth',
              'relative error')
    for column, title in enumerate(titles):
        figure.text((0.1 + (column + 0.5) * COLUMN_INCHES) / size[0], 1 - 0.56 / size[1], title,
                    fontsize=8.5, ha='center', va='center')
    for index, row in enumerate(rows):
        top = size[1] - 0.72 - index * line
        _draw_row(figure, row, top, size)
    _error_legend(figure, size)
    return figure


def _draw_row(figure, row: Row, top: float, size: tuple[float, float]) -> None:
    """Draw a row whose caption begins `top` inches above the figure's lower edge."""
    from matplotlib.colors import LogNorm
    height = COLUMN_INCHES * row.truth.shape[0] / row.truth.shape[1]
    bottom = top - 0.2 - height
    figure.text(0.1 / size[0], (top - 0.1) / size[1], row.title, fontsize=7.5, va='center',
                color='#333333')
    near, far = depth_limits(row.truth)
    depth_colors = {'cmap': _map('inferno_r'), 'norm': LogNorm(near, far, clip=True)}
    pictures = ((row.events, {}), (row.image, {}), (np.minimum(row.truth, far), depth_colors),
                (row.prediction, depth_colors),
                (row.error, {'cmap': _map('YlOrRd'), 'vmin': 0, 'vmax': ERROR_LIMIT}))
    for column, (picture, colors) in enumerate(pictures):
        axes = figure.add_axes(_place(0.1 + column * COLUMN_INCHES, bottom, COLUMN_INCHES - 0.06,
                                      height, size))
        axes.set_xticks([])
        axes.set_yticks([])
        if picture is None:
            axes.text(0.5, 0.5, 'no image', ha='center', va='center', fontsize=8)
            continue
        shown = axes.imshow(picture, aspect='auto', interpolation='antialiased', **colors)
        if column == 3:
            bar = figure.add_axes(_place(0.14 + 5 * COLUMN_INCHES, bottom + 0.06, 0.11,
                                         height - 0.12, size))
            _depth_bar(figure.colorbar(shown, cax=bar), near, far)


def depth_limits(truth: np.ndarray) -> tuple[float, float]:
    """Return the depths, in metres, between which the colours of a row lie."""
    counted = truth[np.isfinite(truth) & (truth <= MAX_DEPTH_M)]
    near, far = np.percentile(counted, (1, 99)) if len(counted) else (1.0, MAX_DEPTH_M)
    return float(near), float(max(far, 1.5 * near))


def _depth_bar(bar, near: float, far: float) -> None:
    ticks = [t for t in (0.2, 0.3, 0.5, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 80)
             if near <= t <= far]
    if len(ticks) < 2:
        ticks = [near, far]
    bar.ax.invert_yaxis()
    bar.set_ticks(ticks, labels=[f'{t:.3g} m' for t in ticks])
    bar.ax.minorticks_off()
    bar.ax.tick_params(labelsize=7, length=2, pad=2)


def _error_legend(figure, size: tuple[float, float]) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    axes = figure.add_axes(_place(0.1 + 4 * COLUMN_INCHES, 0.26, COLUMN_INCHES - 0.06, 0.09,
                                  size))
    bar = figure.colorbar(ScalarMappable(Normalize(0, ERROR_LIMIT), _map('YlOrRd')), cax=axes,
                          orientation='horizontal')
    bar.set_ticks([0, ERROR_LIMIT / 2, ERROR_LIMIT],
                  labels=['0', f'{ERROR_LIMIT / 2:.0%}', f'{ERROR_LIMIT:.0%} or more'])
    bar.ax.tick_params(labelsize=7, length=2, pad=2)
    figure.text(0.1 / size[0], 0.28 / size[1],
                'Colours of depth are the same for truth and prediction of a row; bright is near. '
                'Grey is not scored: sky, beyond 80 m, unknown, or left out by the protocol.',
                fontsize=7.5, va='center', color='#333333')


def _map(name: str):
    from matplotlib import colormaps
    return colormaps[name].with_extremes(bad=UNKNOWN)


def _place(left: float, bottom: float, width: float, height: float,
           size: tuple[float, float]) -> list[float]:
    return [left / size[0], bottom / size[1], width / size[0], height / size[1]]
