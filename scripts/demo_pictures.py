# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A picture: error over time, and what was seen at some moments."""
from __future__ import annotations

from pathlib import Path

from demo_graph import IMAGE
from demo_scoring import BASELINE, Moment, Scores
from matplotlib import colormaps
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
import numpy as np

from depth_anyevent_ros.datasets.bags import decode, decode_event_packet, event_topics, open_bag
from depth_anyevent_ros.evaluation.alignment import align
from depth_anyevent_ros.evaluation.baselines import resize_map
from depth_anyevent_ros.evaluation.contact_sheet import depth_limits
from depth_anyevent_ros.evaluation.pictures import tencode_picture
from depth_anyevent_ros.evaluation.protocols import PROTOCOLS
from depth_anyevent_ros.events.pipeline import EventPipeline, Representation
from depth_anyevent_ros.events.windows import TimeWindows

WINDOW_NS, PERIOD_NS = 50_000_000, 100_000_000
ROWS = 4
SMOOTHING_S = 8.0
COLORS = {BASELINE: '#cfcfcf', 'frozen': '#777777', 'teacher': '#1f77b4',
          'adapting': '#d62728'}
LABELS = {BASELINE: 'mean of the training labels', 'frozen': 'frozen student',
          'teacher': 'teacher (sees the picture)', 'adapting': 'adapting student (sees events)'}
COLUMNS = ('picture', 'events', 'true depth', 'frozen student', "teacher's label",
           'adapting student')


def draw(path: Path, bag: Path, scores: Scores, promotions_s: list[float],
         heading: str) -> None:
    """Draw the plot, and rows of pictures below it."""
    end_s = scores.moments[-1].time_s
    nearest = [min(range(len(scores.moments)), key=lambda k: abs(scores.moments[k].time_s - at))
               for at in np.linspace(0.06, 0.97, ROWS) * end_s]
    chosen = [scores.moments[k] for k in dict.fromkeys(nearest)]  # fewer in a short drive
    rows = len(chosen)
    figure = Figure(figsize=(11, 3.2 + 1.6 * rows), facecolor='white', layout='constrained')
    figure.suptitle(heading, fontsize=10)
    grid = figure.add_gridspec(rows + 1, len(COLUMNS), height_ratios=[1.6] + [1] * rows)
    _plot(figure.add_subplot(grid[0, :]), scores.moments, promotions_s)
    events, pictures = _events(bag), _pictures(bag)
    for line, moment in enumerate(chosen, 1):
        for column, (picture, colors) in enumerate(_row(
                scores, moment, _nearest(pictures, moment.stamp_ns),
                _nearest(events, moment.stamp_ns))):
            axes = figure.add_subplot(grid[line, column])
            axes.imshow(picture, interpolation='antialiased', **colors)
            axes.set_xticks([])
            axes.set_yticks([])
            if line == 1:
                axes.set_title(COLUMNS[column], fontsize=9)
            name = {3: 'frozen', 4: 'teacher', 5: 'adapting'}.get(column)
            note = f'error {moment.errors[name]:.2f}' if name else \
                f'{moment.time_s:.0f} s' if column == 0 else ''
            axes.set_xlabel(note, fontsize=8)
    figure.savefig(path, dpi=110)


def _plot(axes, moments: list[Moment], promotions_s: list[float]) -> None:
    times = np.array([moment.time_s for moment in moments])
    for name, color in COLORS.items():
        if name not in moments[0].errors:
            continue
        errors = np.array([moment.errors[name] for moment in moments])
        # Looking back only, so that what is shown at a time was known then.
        means = [errors[(times > t - SMOOTHING_S) & (times <= t)].mean() for t in times]
        axes.plot(times, means, color=color, label=LABELS[name],
                  marker=None if len(times) > 1 else '.')
    for index, time_s in enumerate(promotions_s):
        axes.axvline(time_s, color='#444444', linewidth=0.8, linestyle=':',
                     label='new weights' if index == 0 else None)
    axes.set_xlabel('time (s)', fontsize=9)
    axes.set_ylabel(f'mean relative error, last {SMOOTHING_S:.0f} s', fontsize=9)
    axes.set_ylim(0, 1.15 * axes.get_ylim()[1])  # with room for the legend
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, ncols=5, loc='upper center')


def _row(scores: Scores, moment: Moment, picture: np.ndarray, events: np.ndarray):
    """Return pictures with the colours to show them in."""
    truth = scores.nearest('truth', moment.stamp_ns)
    clean = PROTOCOLS['clean']
    with np.errstate(divide='ignore'):
        depth = 1 / truth
    near, far = depth_limits(depth)
    colors = {'cmap': colormaps['inferno_r'].with_extremes(bad='#9a9a9a'),
              'norm': LogNorm(near, far, clip=True)}
    yield picture, {}
    yield events, {}
    yield np.minimum(depth, far), colors
    for name in ('frozen', 'teacher', 'adapting'):
        values = resize_map(scores.nearest(name, moment.stamp_ns), *truth.shape)
        known = clean.truth(np.where(np.isfinite(values), truth, np.nan))
        yield clean.depth(align(values[known.mask], known.target).apply(values)), colors


def _pictures(bag: Path) -> dict[int, np.ndarray]:
    """Return the colour camera's pictures by stamp in ns, rgb8."""
    found = {}
    with open_bag(bag) as reader:
        for raw in reader.messages([IMAGE]):
            message = decode(raw)
            stamp = message.header.stamp
            found[stamp.sec * 10**9 + stamp.nanosec] = np.frombuffer(
                message.data, np.uint8).reshape(message.height, message.width, 3)[..., ::-1]
    return found


def _events(bag: Path) -> dict[int, np.ndarray]:
    """Return pictures of the windows of a bag by stamp in ns, rgb8."""
    pipeline = EventPipeline(lambda width, height: Representation(height, width),
                             TimeWindows(WINDOW_NS, PERIOD_NS, 10**9))
    with open_bag(bag) as reader:
        return {window.stamp_ns: tencode_picture(window.image)[..., ::-1]
                for raw in reader.messages(event_topics(reader))
                for window in pipeline.push(decode_event_packet(raw))}


def _nearest(pictures: dict[int, np.ndarray], stamp_ns: int) -> np.ndarray:
    return pictures[min(pictures, key=lambda other: abs(other - stamp_ns))]
