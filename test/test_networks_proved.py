# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Programs that are compared with torch, by ones made up here: believed, refused, given up."""
from dataclasses import replace

from network_frames import assert_same, frames, SIZE
import numpy as np
import pytest
import torch

from depth_anyevent_ros.networks.checkpoint import untrained_student
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.proved_runtime import PROOF_FRAMES, ProvedRuntime
from depth_anyevent_ros.networks.runtime import TorchRuntime


@pytest.fixture(scope='module')
def recurrent():
    return untrained_student('tiny-r')


def test_what_cannot_be_converted_runs_on_torch(recurrent):
    class Failing(ProvedRuntime):
        program = 'Failing'

        def compile(self, size, precision):
            raise RuntimeError('no such operation')
    runtime = Failing(recurrent)
    assert_same(runtime, TorchRuntime(recurrent, 'cpu'), frames(2))
    assert 'no such operation' in runtime.fallback and runtime.runtime.startswith('torch')


class Passing(ProvedRuntime):
    """A program that gives what torch gives, until it is told to fail."""

    program = 'Passing'
    after = 10**9  # frames

    def version(self):
        return 'passing'

    def compile(self, size, precision):
        step, count = self._step, iter(range(10**9))

        def run(arrays):
            if next(count) >= self.after:
                raise RuntimeError('no memory for a kernel\nand more')
            with torch.inference_mode():
                return [tensor.numpy() for tensor in step(*map(torch.from_numpy, arrays))]
        return run


@pytest.mark.parametrize('after, frames_by_it', [(2, 0), (PROOF_FRAMES + 2, 2)])
def test_what_fails_while_it_runs_leaves_torch(recurrent, monkeypatch, after, frames_by_it):
    monkeypatch.setattr(Passing, 'after', after)
    runtime, plain = Passing(recurrent), TorchRuntime(recurrent, 'cpu')
    images = frames(6)
    assert_same(runtime, plain, images[:frames_by_it])
    plain.reset()  # as the memory of the program is lost
    assert_same(runtime, plain, images[frames_by_it:])
    assert runtime.runtime.startswith('torch') and runtime.precision == 'fp32'
    assert 'no memory for a kernel' in runtime.fallback and 'more' not in runtime.fallback


def test_a_network_that_gives_depth_is_compared_by_depth(recurrent):
    class Wrong(Passing):
        def compile(self, size, precision):
            run = super().compile(size, precision)

            def wrong(arrays):
                depth, *state = run(arrays)
                return [np.where(depth < 900, 1, depth).astype(np.float32), *state]
            return wrong
    network = DepthNetwork(replace(recurrent.config.network, activation='relu', output='depth'))
    network.load_state_dict(recurrent.network.state_dict())
    last = network.depth_head.scratch.output_conv2[-1]
    with torch.no_grad():  # so that some of the depth is 0
        last.bias -= float(np.quantile(TorchRuntime(recurrent, 'cpu').infer(frames(1)[0]), 0.1))
    student = replace(recurrent, network=network.eval(),
                      config=replace(recurrent.config, network=network.config))
    right, wrong = Passing(student), Wrong(student)
    for runtime in (right, wrong):
        runtime.warm_up(*SIZE)
    assert right.infer(frames(1)[0]).max() > 9e5
    assert right.runtime == 'passing' and 'differs from that of torch' in wrong.fallback
