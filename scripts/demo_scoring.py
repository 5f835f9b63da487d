# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the demo heard, against the truth in its recordings: figures and a picture."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from depth_anyevent_ros.datasets.bags import decode, decode_event_packet, event_topics, open_bag
from depth_anyevent_ros.evaluation.alignment import align
from depth_anyevent_ros.evaluation.baselines import (
    ALL_WORLDS, load_mean_maps, resize_map, valid_truth)
from depth_anyevent_ros.evaluation.contact_sheet import draw as draw_sheet, Row
from depth_anyevent_ros.evaluation.pictures import tencode_picture
from depth_anyevent_ros.evaluation.protocols import frame_metrics, PROTOCOLS
from depth_anyevent_ros.events.pipeline import EventPipeline, Representation
from depth_anyevent_ros.events.windows import TimeWindows
from depth_anyevent_ros.models import bundled_file

TRUTH, IMAGE = '/truth/inverse_depth/image', '/camera/image'
WINDOW_NS, PERIOD_NS = 50_000_000, 100_000_000
FARTHEST_NS = 20_000_000  # between the stamps of a depth image and of its truth
ROWS = 3  # moments of each recording in the picture


@dataclass(frozen=True)
class Scores:
    """AbsRel by the clean protocol, as means over frames, and the rows of the picture."""

    frames: int
    abs_rel: dict[str, float]
    rows: list[Row]


def score(bag: Path, images: dict[int, np.ndarray], world: str) -> Scores:
    """
    Compare inverse depth by stamp (ns) with the truth in a bag, beside baselines.

    Raises ValueError where no image has a truth.
    """
    truths = _images(bag, TRUTH)
    stamps = np.array(sorted(truths))
    pairs = {}
    for stamp in sorted(images):
        nearest = int(stamps[np.argmin(np.abs(stamps - stamp))])
        if abs(nearest - stamp) <= FARTHEST_NS and valid_truth(truths[nearest]).any():
            pairs[stamp] = nearest
    if not pairs:
        raise ValueError(f'none of the {len(images)} depth images has a truth in {bag}')
    shape = next(iter(truths.values())).shape
    baselines = {'constant': np.ones(shape, np.float32)}
    found = bundled_file('mean_map')
    if found:
        maps = load_mean_maps(found[0])
        baselines['mean_map'] = resize_map(maps.get(world, maps[ALL_WORLDS]), *shape)
    predictions = {stamp: resize_map(images[stamp], *shape) for stamp in pairs}
    errors = {'student': [frame_metrics(predictions[stamp], truths[at])['abs_rel']
                          for stamp, at in pairs.items()]}
    for name, values in baselines.items():
        errors[name] = [frame_metrics(values, truths[at])['abs_rel'] for at in pairs.values()]
    chosen = [list(pairs)[i] for i in np.linspace(0, len(pairs) - 1, ROWS + 2).astype(int)[1:-1]]
    events, pictures = _events(bag), _images(bag, IMAGE)
    rows = [_row(bag.name, stamp, events, pictures[pairs[stamp]], predictions[stamp],
                 truths[pairs[stamp]], min(truths)) for stamp in chosen]
    return Scores(len(pairs), {name: round(float(np.mean(values)), 4)
                               for name, values in errors.items()}, rows)


def mean_over(scores: dict[str, Scores], name: str) -> float:
    """Return the AbsRel of a name, the worlds counting alike."""
    return round(float(np.mean([found.abs_rel[name] for found in scores.values()])), 4)


def draw(scores: dict[str, Scores], trained_on: str, path: Path) -> None:
    """Draw some moments of every recording."""
    untrained = trained_on.startswith('nothing')
    heading = 'Depth from events: the student is UNTRAINED, this is not depth' if untrained \
        else f'Depth from events; student trained on {trained_on}'
    rows = [row for found in scores.values() for row in found.rows]
    draw_sheet(rows, heading).savefig(path, dpi=110)


def report(scores: dict[str, Scores], trained_on: str) -> None:
    """Print the figures."""
    print('\nMean relative error of depth (AbsRel) against the truth, after scale and shift by '
          f'frame; student trained on {trained_on}:')
    for world, found in scores.items():
        print(f'  {world:<6} {found.frames:3d} frames  ' + '  '.join(
            f'{name.replace("_", " ")} {value:.3f}' for name, value in found.abs_rel.items()))


def _images(bag: Path, topic: str) -> dict[int, np.ndarray]:
    """Return the images of a topic by stamp in ns: 32FC1 as (H, W), bgr8 as (H, W, 3)."""
    images = {}
    with open_bag(bag) as reader:
        for raw in reader.messages([topic]):
            message = decode(raw)
            dtype, channels = {'32FC1': ('<f4', ()), 'bgr8': ('u1', (3,))}[message.encoding]
            stamp = message.header.stamp
            images[stamp.sec * 10**9 + stamp.nanosec] = np.frombuffer(
                message.data, dtype).reshape(message.height, message.width, *channels)
    return images


def _events(bag: Path) -> dict[int, np.ndarray]:
    """Return pictures of the windows of a bag by stamp, rgb8, at sensor resolution."""
    pipeline = EventPipeline(lambda width, height: Representation(height, width),
                             TimeWindows(WINDOW_NS, PERIOD_NS, 10**9))
    with open_bag(bag) as reader:
        return {window.stamp_ns: tencode_picture(window.image)[..., ::-1]
                for raw in reader.messages(event_topics(reader))
                for window in pipeline.push(decode_event_packet(raw))}


def _row(name: str, stamp: int, events: dict[int, np.ndarray], picture: np.ndarray,
         prediction: np.ndarray, inverse_depth: np.ndarray, first: int) -> Row:
    clean = PROTOCOLS['clean']
    truth = clean.truth(inverse_depth)
    depth = clean.depth(align(prediction[truth.mask], truth.target).apply(prediction))
    nearest = min(events, key=lambda other: abs(other - stamp))
    with np.errstate(divide='ignore'):
        row = Row('', events[nearest], cv2.cvtColor(picture, cv2.COLOR_BGR2RGB),
                  1 / inverse_depth, depth)
    title = f'{name}, {(stamp - first) / 1e9:.1f} s: mean relative error ' \
        f'{np.nanmean(row.error):.3f}'
    return Row(title, row.events, row.image, row.truth, row.prediction)
