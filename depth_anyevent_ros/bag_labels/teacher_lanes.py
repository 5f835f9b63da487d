# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Chunks of pictures that are shown to a teacher side by side."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch

from depth_anyevent_ros.background import abreast
from depth_anyevent_ros.bag_labels.shard_reader import Chunk
from depth_anyevent_ros.distillation.teachers import CheckpointTeacher, ForeignTeacher

MOST_LANES = 4  # each holds a chunk and what a network needs


def taught(teach: Callable[[Chunk], Chunk], chunks: Iterable[Chunk],
           teacher: CheckpointTeacher | ForeignTeacher) -> Iterator[Chunk]:
    """
    Yield each chunk once the teacher has seen it, in order.

    On a CPU few threads see a chunk each, instead of all of torch's threads the same one: those
    wait for one another in every layer, while reading and writing take time from one of them.
    """
    threads = torch.get_num_threads()
    on_gpu = isinstance(teacher, CheckpointTeacher) and teacher.runtime.device != 'cpu'
    lanes = 1 if on_gpu else min(threads, MOST_LANES)
    try:
        yield from abreast(teach, chunks, lanes,
                           lambda: torch.set_num_threads(max(threads // lanes, 1)))
    finally:
        torch.set_num_threads(threads)  # what threads to come begin with
