# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Make a sequence folder of a real recording whose depth the motion tells.

Reads a recording in text files of the Event Camera Dataset (Mueggler et al., IJRR 2017), in which
a camera moves along a slider across its view without turning: events.txt, images.txt with images,
groundtruth.txt, calib.txt. Any two of its pictures are a rectified stereo pair whose baseline is
known, so that the pictures (not the events) give depth in metres: semi-global matching with
several partners, kept where they agree. What has no texture stays unknown.
"""
from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from depth_anyevent_ros.datasets.sequence_writer import SequenceWriter
from depth_anyevent_ros.events.types import Events
from depth_anyevent_ros.geometry.camera import CameraModel

PARTNERS = (-10, -8, -6, -4, 4, 6, 8, 10)  # pictures before and after that a picture is matched to
NEAREST_M, FARTHEST_M = 0.4, 4.0  # what is matched at either end is no match
ENLARGED = 2  # for matches between pixels
BLOCK = 7  # pixels of the enlarged picture
AGREED = 3  # partners that have to say the same
AGREEMENT = 0.03  # share of inverse depth
LEAST_KNOWN = 0.2  # of the pixels, for a label
TURNED = 1e-3  # components of a quaternion: more than this is no slider
CROSS = 0.02  # of the way along the slider, up or down or towards the scene


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: python scripts/slider_sequence.py slider_depth --output data/slider\n'
               '         depth_anyevent evaluate --data data/slider --picture sheet.png')
    parser.add_argument('recording', type=Path, help='folder of the text files')
    parser.add_argument('--output', type=Path, required=True, help='sequence folder to make')
    arguments = parser.parse_args()
    try:
        make(arguments.recording, arguments.output)
    except (OSError, ValueError) as error:
        parser.exit(1, f'{parser.prog}: {error}\n')


def make(recording: Path, output: Path) -> None:
    """Write the sequence; ValueError where the recording is none of a slider."""
    events = read_events(recording / 'events.txt')
    names = [line.split() for line in (recording / 'images.txt').read_text().splitlines()]
    if not names:
        raise ValueError(f'{recording / "images.txt"} names no picture')
    times_s = np.array([float(time) for time, _ in names])
    pictures = [cv2.imread(str(recording / name), cv2.IMREAD_GRAYSCALE) for _, name in names]
    if any(picture is None for picture in pictures):
        raise ValueError(f'{recording} lacks some of the pictures that images.txt names')
    camera = read_camera(recording / 'calib.txt', pictures[0].shape)
    ways_m = slider_ways(recording / 'groundtruth.txt', times_s)
    flat = [cv2.undistort(picture, camera.k, camera.d) for picture in pictures]
    info = {'source': 'recording', 'world': '', 'sensor': 'davis240', 'camera': camera,
            'duration_ns': round(times_s[-1] * 1e9)}
    with SequenceWriter(output, info) as writer:
        writer.add_events(events)
        known = []
        for index, time_s in enumerate(times_s):
            if time_s * 1e9 < events.t[0] + 50_000_000:  # no whole window of events before it
                continue
            depth = distorted(inverse_depth(flat, ways_m, index, camera.k[0, 0]), camera)
            share = np.isfinite(depth).mean()
            if share < LEAST_KNOWN:  # the camera hardly moved there
                continue
            known.append(share)
            writer.add_label(round(time_s * 1e9), depth,
                             cv2.cvtColor(pictures[index], cv2.COLOR_GRAY2BGR))
        if not known:
            raise ValueError(f'{recording} has no picture whose depth others tell: the camera '
                             'moves too little, or what it sees has no texture')
    print(f'{output}: {len(known)} labels, depth of {np.mean(known):.0%} of the pixels.')


def read_events(path: Path) -> Events:
    """Return the events of lines `seconds x y polarity`; times in ns."""
    table = np.loadtxt(path, ndmin=2)
    return Events(np.rint(table[:, 0] * 1e9).astype(np.int64), *(
        table[:, column].astype(kind) for column, kind in (
            (1, np.uint16), (2, np.uint16), (3, np.uint8))))


def read_camera(path: Path, shape: tuple[int, int]) -> CameraModel:
    """Return the camera of a line `fx fy cx cy k1 k2 p1 p2 k3`."""
    fx, fy, cx, cy, *distortion = np.loadtxt(path)
    return CameraModel(shape[1], shape[0], np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]),
                       np.array(distortion))


def slider_ways(path: Path, times_s: np.ndarray) -> np.ndarray:
    """Return where on the slider the camera was, in m to its right; ValueError for no slider."""
    poses = np.loadtxt(path)
    way = poses[:, 1:4] - poses[0, 1:4]
    turn = np.abs(poses[:, 4:7] - poses[0, 4:7]).max()
    across = np.abs(way[:, 1:]).max()
    if turn > TURNED or across > CROSS * np.abs(way[:, 0]).max():
        raise ValueError(f'{path} is no slider along the rows of the picture: it turns by '
                         f'{turn:.2g} and leaves its line by {across:.2g} m')
    return np.interp(times_s, poses[:, 0], way[:, 0])


def inverse_depth(pictures: list[np.ndarray], ways_m: np.ndarray, index: int,
                  focal_px: float) -> np.ndarray:
    """Return what the partners of a picture agree on, float32 (H, W), 1/m, NaN unknown."""
    found = [matched(pictures[index], pictures[index + step],
                     ways_m[index + step] - ways_m[index], focal_px)
             for step in PARTNERS if 0 <= index + step < len(pictures)]
    values = np.stack(found)
    with np.errstate(invalid='ignore'):
        middle = median(values)
        agree = np.abs(values - middle) <= AGREEMENT * middle
    return np.where(agree.sum(0) >= AGREED, median(np.where(agree, values, np.nan)), np.nan)


def matched(left: np.ndarray, right: np.ndarray, baseline_m: float,
            focal_px: float) -> np.ndarray:
    """Return the inverse depth (1/m) by which the pictures match, NaN where they do not."""
    if abs(baseline_m) < 1e-3:
        return np.full(left.shape, np.nan, np.float32)
    mirrored = baseline_m < 0  # a mirrored picture from the left is one from the right
    pair = [cv2.resize(cv2.equalizeHist(picture[:, ::-1] if mirrored else picture), None,
                       fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)
            for picture in (left, right)]
    scale = ENLARGED * focal_px * abs(baseline_m)  # pixels of disparity for 1/m
    least = int(scale / FARTHEST_M)
    count = int(np.ceil((scale / NEAREST_M - least) / 16)) * 16
    # Padded, as else what leaves the picture within `count` pixels has no depth.
    pair = [cv2.copyMakeBorder(picture, 0, 0, least + count, 0, cv2.BORDER_CONSTANT)
            for picture in pair]
    matcher = cv2.StereoSGBM_create(
        least, count, BLOCK, P1=8 * BLOCK**2, P2=32 * BLOCK**2, disp12MaxDiff=2,
        uniquenessRatio=8, speckleWindowSize=100, speckleRange=2,
        mode=cv2.STEREO_SGBM_MODE_HH)
    disparity = matcher.compute(*pair)[:, least + count:].astype(np.float32) / 16
    disparity[(disparity < least + 1) | (disparity > least + count - 2)] = np.nan
    found = disparity[::ENLARGED, ::ENLARGED] / scale
    return found[:, ::-1] if mirrored else found


def median(values: np.ndarray) -> np.ndarray:
    """Return the median over the first axis of what is known, NaN where nothing is."""
    ordered = np.sort(values, axis=0)  # NaN last
    number = np.isfinite(values).sum(0)
    return np.take_along_axis(ordered, np.maximum(number - 1, 0)[None] // 2, 0)[0]


def distorted(values: np.ndarray, camera: CameraModel) -> np.ndarray:
    """Return a picture without distortion as the camera with its lens sees it."""
    columns, rows = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in values.shape[::-1]))
    places = cv2.undistortPoints(np.stack([columns, rows], -1).reshape(-1, 1, 2), camera.k,
                                 camera.d, P=camera.k).reshape(*values.shape, 2)
    return cv2.remap(values.astype(np.float32), places, None, cv2.INTER_NEAREST,
                     borderMode=cv2.BORDER_CONSTANT, borderValue=float('nan'))


if __name__ == '__main__':
    main()
