# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Speed of the bundled student, frame by frame, and of the whole way from packets to depth."""
from __future__ import annotations

from collections.abc import Iterator
import time

import numpy as np
import torch

from depth_anyevent_ros.benchmarks.case import Case, compare, Work
from depth_anyevent_ros.benchmarks.event_streams import made_up
from depth_anyevent_ros.depth_estimator import DepthEstimator, WindowSettings
from depth_anyevent_ros.models import load_student
from depth_anyevent_ros.networks.checkpoint import Checkpoint, untrained, untrained_student
from depth_anyevent_ros.networks.cuda_runtime import CudaRuntime
from depth_anyevent_ros.networks.runtime import cpu_computes_in_bf16, TorchRuntime
from depth_anyevent_ros.networks.runtimes import make_runtime

SIZES = ((196, 252), (126, 168))
GPU_PRESET, GPU_SIZE, GPU_FRAMES = 'vits-r', (266, 350), 200
TEACHER_PRESET = 'vits'
PLAIN_FRAMES = 40  # of those, by what is slow
FRAMES = 10  # in one measurement
SENSOR, EVENT_RATE, RATE_HZ, DURATION_NS = (346, 260), 3e6, 20.0, 1_000_000_000
FILLED = 0.3  # share of pixels with an event


def cases(repeats: int, seed: int) -> Iterator[Case]:
    """Yield the rate of each other way to run the student, then that of a stream."""
    student = load_student('')
    streams = [('auto', 'auto', 'torch'), ('cpu', 'fp32', 'openvino'), ('cpu', 'bf16', 'openvino')]
    if torch.cuda.is_available():  # all of the GPU's first
        yield _graph(repeats, seed)
        for precision in ('fp32', 'fp16'):
            yield from _sizes(student, ('cuda:0', precision, 'torch'), repeats, seed)
        yield _stream(student, streams.pop(0), repeats, seed)
    for way in (('cpu', 'fp32', 'openvino'), ('cpu', 'bf16', 'openvino'),
                ('cpu', 'fp32', 'onnxruntime')):
        yield from _sizes(student, way, repeats, seed)
    for way in streams:
        yield _stream(student, way, repeats, seed)
    if cpu_computes_in_bf16():
        yield _teacher(repeats, seed)


def _sizes(student: Checkpoint, way: tuple[str, str, str], repeats: int,
           seed: int) -> Iterator[Case]:
    runtime = make_runtime(student, *way)
    for size in SIZES:
        yield _frames(student, runtime, size, repeats, seed)


def _frames(student: Checkpoint, runtime: TorchRuntime, size: tuple[int, int], repeats: int,
            seed: int) -> Case:
    generator = np.random.default_rng(seed)
    image = generator.random((3, *size), np.float32) * (generator.random(size) < FILLED)
    plain = TorchRuntime(student, 'cpu', 'fp32')
    image = image.astype(np.float32)
    for one in (runtime, plain):
        one.warm_up(*size)

    def run(one: TorchRuntime) -> None:
        for _ in range(FRAMES):
            one.infer(image)

    return compare(f'inference: {student.name}, {size[0]}x{size[1]}, {_told(runtime)}',
                   'frames/s', Work(lambda: run(runtime), FRAMES),
                   f'{plain.runtime} in fp32 on the CPU', Work(lambda: run(plain), FRAMES),
                   repeats)


def _graph(repeats: int, seed: int) -> Case:
    """Compare a CUDA graph in half precision with plain torch in fp32 on the same GPU."""
    student = untrained_student(GPU_PRESET)
    graph, plain = CudaRuntime(student, 'cuda:0'), TorchRuntime(student, 'cuda:0', 'fp32')
    generator = np.random.default_rng(seed)
    images = [(generator.random((3, *GPU_SIZE), np.float32)
               * (generator.random(GPU_SIZE) < FILLED)).astype(np.float32)
              for _ in range(GPU_FRAMES)]
    for one in (graph, plain):
        one.warm_up(*GPU_SIZE)
    off, took_ms = 0.0, []
    for image in images:
        expected = plain.infer(image)
        begin = time.perf_counter()
        found = graph.infer(image)
        took_ms.append((time.perf_counter() - begin) * 1e3)
        # Of a number that is none, np.maximum makes none; Python's max would drop it.
        off = np.maximum(off, np.abs(found - expected).max() / float(np.ptp(expected)))
    p50, p99 = np.percentile(took_ms, (50, 99))
    return compare(f'inference: {student.name}, {GPU_SIZE[0]}x{GPU_SIZE[1]}, {_told(graph)}, '
                   f'with upload and download p50 {p50:.2f} ms, p99 {p99:.2f} ms, off by '
                   f'{off:.2%} of the range at most', 'frames/s',
                   Work(lambda: [graph.infer(image) for image in images], GPU_FRAMES),
                   f'{TorchRuntime.runtime} in fp32 on the GPU, no graph',
                   Work(lambda: [plain.infer(image) for image in images[:PLAIN_FRAMES]],
                        len(images[:PLAIN_FRAMES])), repeats)


def _teacher(repeats: int, seed: int) -> Case:
    """Compare Depth Anything V2 Small (random weights) in bf16 with fp32, both on the CPU."""
    teacher = untrained(TEACHER_PRESET, seed)
    image = np.random.default_rng(seed).random((3, *GPU_SIZE), np.float32)
    half, full = (TorchRuntime(teacher, 'cpu', precision) for precision in ('bf16', 'fp32'))
    return compare(f'inference: teacher {TEACHER_PRESET}, {GPU_SIZE[0]}x{GPU_SIZE[1]}, '
                   f'{_told(half)}', 'frames/s', Work(lambda: half.infer(image), 1),
                   f'{full.runtime} in fp32 on the CPU', Work(lambda: full.infer(image), 1),
                   repeats)


def _stream(student: Checkpoint, way: tuple[str, str, str], repeats: int, seed: int) -> Case:
    """Decode, render and infer a stream, against the time that it lasts."""
    estimator = DepthEstimator(student, WindowSettings(rate_hz=RATE_HZ), *way)
    stream = made_up('evt3', *SENSOR, EVENT_RATE, DURATION_NS, seed)
    estimator.warm_up(*SENSOR)
    windows = 0

    def run() -> None:
        nonlocal windows
        windows = 0
        estimator.reset()
        for packet in stream.packets:
            for window in estimator.push(packet):
                estimator.infer(window)
                windows += 1

    rates = []
    for index in range(repeats + 1):
        begin = time.perf_counter()
        run()
        if index:
            rates.append(windows / (time.perf_counter() - begin))
    median = float(np.median(rates))
    return Case(f'inference: packets of {SENSOR[0]}x{SENSOR[1]} at {EVENT_RATE / 1e6:.0f} Mev/s '
                f'to depth, {_told(estimator.runtime)}', median, min(rates), max(rates),
                'windows/s', f'the {RATE_HZ:.0f} Hz of the stream', median / RATE_HZ)


def _told(runtime: TorchRuntime) -> str:
    told = f'{runtime.runtime} in {runtime.precision} on {runtime.device}'
    return f'{told} ({runtime.fallback})' if runtime.fallback else told
