# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Learning from a stream: what is learned, what is judged, and what a decision costs."""
from dataclasses import replace

import numpy as np
import pytest
import torch

from depth_anyevent_ros.datasets.samples import Samples
from depth_anyevent_ros.distillation import online as online_module, training_step
from depth_anyevent_ros.distillation.online import OnlineConfig, OnlineLearner, where_to_learn
from depth_anyevent_ros.distillation.promotion import judge, PromotionConfig
from depth_anyevent_ros.distillation.replay_buffer import BufferConfig, LabelledFrame
from depth_anyevent_ros.networks import runtime
from depth_anyevent_ros.networks.checkpoint import untrained_student

SIZE = (56, 70)
CONFIG = OnlineConfig(
    learning_rate=1e-3, precision='fp32', buffer=BufferConfig(block=3, held_out_every=2, gap=1),
    promotion=PromotionConfig(least_blocks=2, most_blocks=4, anchor_step=9, anchor_total=9))


def frames(count, size=SIZE, begin=0):
    """Return frames whose events lie on the nearer half of a label that is left or right."""
    rng = np.random.default_rng(begin)
    for index in range(begin, begin + count):
        near = np.zeros(size, bool)
        near[:, :size[1] // 2] = True
        near = near if index // 3 % 2 else ~near
        image = np.zeros((3, *size), np.uint8)
        image[:, near & (rng.random(size) < 0.3)] = 255
        yield LabelledFrame(image, np.where(near, 1.0, 0.2).astype(np.float16),
                            index * 100_000_000, 100, 1)


def anchor(first=0):
    """Return two short sequences of the old domain."""
    for number in range(first, first + 2):
        taken = list(frames(4, begin=1000 * number))
        yield Samples(f'anchor {number}', 'car', np.stack([f.image for f in taken]),
                      np.stack([f.inverse_depth for f in taken]), np.full(4, 100),
                      np.arange(4), np.full(4, True))


@pytest.fixture(scope='module')
def student():
    torch.manual_seed(0)
    return untrained_student('tiny-r')


def learner(student, **changes):
    return OnlineLearner(student, list(anchor()), replace(CONFIG, **changes))


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_a_better_head_is_promoted_and_the_encoder_stays(student):
    online = learner(student)
    before = weights(online.running)
    for frame in frames(40):
        online.add(frame)
    assert online.ready and online.undecided
    losses = [online.step() for _ in range(30)]
    assert np.mean([loss['stream'] for loss in losses[-6:]]) \
        < 0.7 * np.mean([loss['stream'] for loss in losses[:6]])
    verdict = online.consider()
    assert verdict.promote and verdict.decided and online.promotions == 1, verdict
    assert not online.undecided and online.buffer.held_out == []
    after = weights(online.running)
    changed = {name.split('.')[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {'depth_head'}


def test_in_bfloat16_it_learns_as_in_fp32(student, monkeypatch):
    monkeypatch.setattr(runtime, 'cpu_computes_in_bf16', lambda: True)  # emulated where it is not
    losses = {}
    for precision in ('fp32', 'bf16'):
        online = learner(student, precision=precision)
        for frame in frames(20):
            online.add(frame)
        losses[precision] = [online.step()['stream'] for _ in range(10)]
        assert {weight.dtype for weight in online._network.parameters()} == {torch.float32}
    assert losses['bf16'] != losses['fp32']
    assert losses['bf16'] == pytest.approx(losses['fp32'], rel=0.05)


def test_auto_is_bfloat16_where_the_cpu_computes_in_it(monkeypatch):
    for computes, precision in ((True, 'bf16'), (False, 'fp32')):
        monkeypatch.setattr(online_module, 'cpu_computes_in_bf16', lambda: computes)
        assert where_to_learn('cpu', 'auto') == ('cpu', precision, None)
        assert where_to_learn('cpu', 'fp32') == ('cpu', 'fp32', None)
    with pytest.raises(ValueError, match='not fp16'):
        where_to_learn('cpu', 'fp16')


def test_a_gpu_without_bfloat16_learns_in_fp32(monkeypatch):
    monkeypatch.setattr(training_step, 'placement_here',
                        lambda *asked: runtime.choose_placement(*asked, 1, False))
    assert where_to_learn('cuda', 'auto') == ('cuda:0', 'fp32', None)


def test_a_device_that_cannot_be_had_is_refused_or_told(student):
    with pytest.raises(ValueError, match="not 'gpu'"):
        learner(student, device='gpu')
    if not torch.cuda.is_available():
        assert 'runs on the CPU' in learner(student, device='cuda').fallback
    assert learner(student).fallback is None


def test_where_blocks_cannot_tell_more_are_waited_for(student):
    online = learner(student, learning_rate=1e-12)
    taken = frames(200)

    def until_undecided():
        while not online.undecided:
            online.add(next(taken))
        online.step()
        return online.consider()
    verdict = until_undecided()
    assert not verdict.decided and 'more blocks have to tell' in verdict.reason
    assert len(online.buffer.held_out) == 2 and online.learning_rate == 1e-12
    assert not online.undecided and online.kept_back == 0
    verdict = until_undecided()
    assert verdict.decided and not verdict.promote and 'on 4 blocks' in verdict.reason
    assert online.kept_back == 1 and online.learning_rate == CONFIG.least_learning_rate
    assert online.buffer.held_out == []


def test_another_size_of_the_stream_begins_anew(student):
    online = learner(student)
    for frame in frames(20):
        online.add(frame)
    online.step()
    for frame in frames(20, (70, 84), begin=100):
        online.add(frame)
    assert np.isfinite(online.step()['stream'])
    assert np.isfinite(online.consider().anchor_step)


def test_who_goes_on_is_judged_by_the_anchor_set_at_hand(student):
    """As after another version of the package, or another number of scenes."""
    online = learner(student)
    for frame in frames(40):
        online.add(frame)
    for _ in range(30):
        online.step()
    assert online.consider().promote
    before = online.anchor_first, online.anchor_running
    again = learner(student)
    again.restore(*online.state())
    assert (again.anchor_first, again.anchor_running) == before
    other = OnlineLearner(student, list(anchor(7)), CONFIG)
    other.restore(*online.state())
    assert other.anchor_running == other._anchor_error(online.running) != before[1]
    expected = other._anchor_error(student.network)
    assert other.anchor_first == pytest.approx(expected, rel=1e-4) and expected != before[0]


def learned(student, **promotion):
    """Return a learner that learned from a stream, and how far a network went."""
    online = learner(student, promotion=replace(CONFIG.promotion, **promotion))
    for frame in frames(40):
        online.add(frame)
    for _ in range(30):
        online.step()
    first = weights(online.running)['depth_head.scratch.output_conv1.weight']

    def gone(network):
        moved = weights(network)['depth_head.scratch.output_conv1.weight'] - first
        return float(moved.norm())
    whole = gone(online._average)
    return online, lambda network: gone(network) / whole


def test_a_candidate_goes_as_far_as_the_anchor_set_allows(student):
    online, gone = learned(student, anchor_step=1.05)
    online._anchor_error = lambda network: 1 + 0.16 * gone(network) ** 2
    online.anchor_running = online.anchor_first = 1.0
    verdict = online.consider()
    assert verdict.promote and verdict.share == 0.5, verdict
    assert verdict.anchor_step == pytest.approx(1.04, abs=1e-3)
    assert gone(online.running) == pytest.approx(0.5, abs=1e-3)
    assert gone(online._average) == pytest.approx(1)


def test_where_it_allows_nothing_nothing_is_promoted(student):
    online, gone = learned(student, anchor_step=1.05)
    online._anchor_error = lambda network: 1 + gone(network)
    online.anchor_running = online.anchor_first = 1.0
    verdict = online.consider()
    assert not verdict.promote and verdict.share == 0.25 and '1.250 times' in verdict.reason
    assert gone(online.running) == 0


def test_what_is_in_doubt_is_forgotten(student):
    online, gone = learned(student)
    blocks = online.buffer.training
    online.forget(1, blocks[2].times_ns[0])
    assert [block.name for block in online.buffer.training] \
        == [block.name for block in blocks[:2]]
    assert len(online.buffer.held_out) == 2
    assert gone(online._average) == gone(online._network) == 0
    online.forget(1, 0)
    assert not online.ready and online.buffer.nbytes == 0
    for frame in frames(40, begin=100):
        online.add(frame)
    online.step()
    assert 0 < gone(online._network) and online.undecided


def decided(online, taken, gain):
    """Let a learner decide on a candidate whose error is the running student's times `gain`."""
    disagreement = online._disagreement
    online._disagreement = lambda network, block: disagreement(online.running, block) * (
        gain if network is online._candidate else 1)
    while not online.undecided:
        online.add(next(taken))
    verdict = online.consider()
    online._disagreement = disagreement
    return verdict


def test_the_learning_rate_falls_and_rises_again(student):
    online, taken = learner(student), frames(10 ** 4)
    for _ in range(3):
        assert not decided(online, taken, 1.3).promote
    assert online.learning_rate == pytest.approx(1e-3 * 0.7 ** 3)
    state = online.state()
    for left in (2, 1, 0, 0):
        assert decided(online, taken, 0.7).promote
        assert online.learning_rate == pytest.approx(1e-3 * 0.7 ** left)
    for asked, then in ((1e-3, 1e-3 * 0.7 ** 3), (3e-4, 3e-4)):
        again = learner(student, learning_rate=asked)
        again.restore(*state)
        assert again.learning_rate == pytest.approx(then)
    again = learner(student)
    again.restore(state[0], {name: fact for name, fact in state[1].items()
                             if name != 'asked_learning_rate'})  # as of an earlier version
    assert again.learning_rate == 1e-3


def test_blocks_with_hardly_any_label_decide_nothing(student):
    online = learner(student, promotion=replace(CONFIG.promotion, least_blocks=2, most_blocks=9))
    for index, frame in enumerate(frames(80)):
        if index % 24 in (4, 5, 6):  # of three blocks that are held out the first
            label = np.full(SIZE, np.nan, np.float16)
            label[0, 33:37] = frame.inverse_depth[0, 33:37]
            frame = replace(frame, inverse_depth=label)
        online.add(frame)
    for _ in range(30):
        online.step()
    held_out = online.buffer.held_out
    silent = sum(np.isfinite(block.inverse_depth).sum() < 16 for block in held_out)
    assert 0 < silent < len(held_out) - 1
    verdict = online.consider()
    assert verdict.promote and f'on {len(held_out) - silent} blocks' in verdict.reason
    assert online.unjudged == silent and online.kept_back == 0


def test_looks_of_a_decision_count_the_blocks_that_tell(student, monkeypatch):
    looks = []

    def look(running, *rest):
        looks.append((rest[-1], len(running)))  # blocks before, and now
        return judge(running, *rest)
    monkeypatch.setattr(online_module, 'judge', look)
    online = learner(student, promotion=replace(CONFIG.promotion, least_blocks=2, most_blocks=5))
    taken = (frame if frame.time_ns // 10**8 % 16 < 8 else replace(  # one held-out block in two
        frame, inverse_depth=np.full(SIZE, np.nan, np.float16)) for frame in frames(10**4))
    while len(looks) < 5:
        verdict = decided(online, taken, 1.0)
    assert looks == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)] and verdict.decided
    decided(online, taken, 1.0)
    online.forget(1, 0)
    decided(online, taken, 1.0)
    assert looks[5:] == [(0, 1), (0, 1)]


def test_a_memory_that_has_no_room_for_more_held_out_blocks_keeps_back(student):
    room = 9 * next(frames(1)).nbytes
    online = learner(student, buffer=replace(CONFIG.buffer, max_bytes=room),
                     promotion=replace(CONFIG.promotion, least_blocks=2, most_blocks=20))
    taken = frames(10**4)
    verdict = decided(online, taken, 1.0)
    for _ in range(20):
        if verdict.decided:
            break
        verdict = decided(online, taken, 1.0)
    assert verdict.decided and not verdict.promote and 'no room for more' in verdict.reason
    assert online.kept_back == 1 and not online.buffer.held_out


def test_a_state_has_no_encoder_and_may_have_one(student):
    online, _ = learned(student)
    tensors, facts = online.state()
    assert not any('pretrained' in name for name in tensors)
    parts = (('network', '_network'), ('average', '_average'), ('running', 'running'))
    whole = {**tensors, **{f'{prefix}/{name}': tensor for prefix, network in parts
                           for name, tensor in weights(getattr(online, network)).items()}}
    assert len(whole) > len(tensors)
    for state in (tensors, whole):  # as it is saved now, and as it was before
        again = learner(student)
        again.restore(state, facts)
        for _, network in parts:
            then, now = weights(getattr(online, network)), weights(getattr(again, network))
            assert all(torch.equal(then[name], now[name]) for name in then)
