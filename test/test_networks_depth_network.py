# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The network as a whole: keys, sizes, recurrence, sequences, initial weights."""

from dataclasses import replace

import pytest
import torch

from depth_anyevent_ros.networks.config import network_preset, NETWORKS
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.initialization import initialize_weights


def made(preset, **changes):
    network = DepthNetwork(replace(network_preset(preset), **changes)).eval()
    initialize_weights(network)
    return network


@pytest.fixture(scope='module')
def tiny_r():
    return made('tiny-r')


@pytest.mark.parametrize('preset, millions', [
    ('vits', 24.8), ('vitb', 97.5), ('vitl', 335.3), ('vits-r', 26.1)])
def test_parameter_counts_are_the_published_ones(preset, millions):
    with torch.device('meta'):
        network = DepthNetwork(NETWORKS[preset])
        inverse_depth, _ = network(torch.zeros(2, 3, 266, 350))
    count = sum(weight.numel() for weight in network.parameters())
    assert round(count / 1e6, 1) == millions
    assert inverse_depth.shape == (2, 266, 350)


def test_names_and_shapes_are_the_official_ones():
    """Spelled out from the published description, independent of how modules are built."""
    width, features, channels = 384, 64, (48, 96, 192, 384)
    expected = {
        'pretrained.cls_token': (1, 1, width), 'pretrained.pos_embed': (1, 1370, width),
        'pretrained.mask_token': (1, width),
        'pretrained.patch_embed.proj.weight': (width, 3, 14, 14),
        'pretrained.patch_embed.proj.bias': (width,),
        'pretrained.norm.weight': (width,), 'pretrained.norm.bias': (width,)}

    def layer(name, outputs, *inputs, bias=True):
        expected[f'{name}.weight'] = (outputs, *inputs)
        if bias:
            expected[f'{name}.bias'] = (outputs,)

    for i in range(12):
        block = f'pretrained.blocks.{i}'
        layer(f'{block}.norm1', width)
        layer(f'{block}.norm2', width)
        layer(f'{block}.attn.qkv', 3 * width, width)
        layer(f'{block}.attn.proj', width, width)
        layer(f'{block}.mlp.fc1', 4 * width, width)
        layer(f'{block}.mlp.fc2', width, 4 * width)
        expected[f'{block}.ls1.gamma'] = expected[f'{block}.ls2.gamma'] = (width,)
    for i, count in enumerate(channels):
        level = f'depth_head.scratch.refinenet{i + 1}'
        layer(f'depth_head.projects.{i}', count, width, 1, 1)
        layer(f'depth_head.scratch.layer{i + 1}_rn', features, count, 3, 3, bias=False)
        layer(f'{level}.out_conv', features, features, 1, 1)
        for unit in (1, 2):
            for part in (1, 2):
                layer(f'{level}.resConfUnit{unit}.conv{part}', features, features, 3, 3)
        layer(f'depth_head.gru_layer_{i + 1}.conv.conv2d', features, features, 3, 3)
        layer(f'depth_head.gru_layer_{i + 1}.recurrent_block.Gates',
              4 * features, 2 * features, 3, 3)
    layer('depth_head.resize_layers.0', 48, 48, 4, 4)
    layer('depth_head.resize_layers.1', 96, 96, 2, 2)
    layer('depth_head.resize_layers.3', 384, 384, 3, 3)
    layer('depth_head.scratch.output_conv1', 32, features, 3, 3)
    layer('depth_head.scratch.output_conv2.0', 32, 32, 3, 3)
    layer('depth_head.scratch.output_conv2.2', 1, 32, 1, 1)

    with torch.device('meta'):
        found = {key: tuple(tensor.shape)
                 for key, tensor in DepthNetwork(NETWORKS['vits-r']).state_dict().items()}
        vanilla = set(DepthNetwork(NETWORKS['vits']).state_dict())
    assert found == expected
    assert vanilla == {key for key in expected if 'gru_layer' not in key}


def test_state_of_depth_anyevent_r_at_266x350():
    shapes = {4: (1, 64, 8, 11), 3: (1, 64, 17, 23), 2: (1, 64, 36, 48), 1: (1, 64, 74, 98)}
    sizes = []
    with torch.device('meta'):
        network = DepthNetwork(NETWORKS['vits-r'])
        scratch = network.depth_head.scratch
        scratch.output_conv1.register_forward_hook(
            lambda module, inputs, output: sizes.append(tuple(output.shape)))
        _, state = network(torch.zeros(1, 3, 266, 350))
    assert list(network.state_shapes(1, 266, 350).items()) == [
        (level, (shape, shape)) for level, shape in shapes.items()]
    assert [tuple(part.shape) for pair in state.levels for part in pair] == [
        shape for shape in shapes.values() for _ in range(2)]
    assert sizes == [(1, 32, 148, 196)]


@pytest.mark.parametrize('size', [(70, 70), (84, 70), (140, 182), (196, 252)])
@pytest.mark.parametrize('changes', [{}, {'hold': True}, {'hold': True, 'recurrent_levels': ()}])
def test_announced_state_shapes_are_those_that_come(changes, size):
    network = made('tiny-r', **changes)
    with torch.inference_mode():
        inverse_depth, state = network(torch.randn(1, 3, *size))
    assert inverse_depth.shape == (1, *size)
    state.check(network.state_shapes(1, *size))
    assert network.state_parts == tuple(map(len, state.levels))


@pytest.mark.parametrize('preset, changes', [
    ('tiny-r', {}),
    ('tiny-r', {'recurrent_levels': (1, 2, 3, 4), 'recurrent_padding': 0,
                'recurrent_residual': False}),
    ('tiny-r', {'hold': True}),
    ('tiny-r', {'hold': True, 'recurrent_padding': 0, 'recurrent_residual': False,
                'recurrent_cell': 'convgru'})])
def test_sequence_is_frame_by_frame(preset, changes):
    network = made(preset, **changes)
    images = torch.randn(4, 2, 3, 84, 112)
    resets = torch.zeros(4, 2, dtype=torch.bool)
    resets[2, 1] = True
    with torch.inference_mode():
        _, start = network(torch.randn(2, 3, 84, 112))
        together, last = network.forward_sequence(images, start, resets)
        state, one_by_one = start, []
        for image, lanes in zip(images, resets):
            inverse_depth, state = network(image, state.reset_lanes(lanes))
            one_by_one.append(inverse_depth)
    assert together.shape == (4, 2, 84, 112)
    torch.testing.assert_close(together, torch.stack(one_by_one), rtol=3e-6, atol=3e-6)
    for pair, other in zip(last.levels, state.levels):
        torch.testing.assert_close(pair, other, rtol=3e-6, atol=3e-6)


def test_frames_that_are_not_drawn_only_pass_the_memory(tiny_r):
    images = torch.randn(5, 2, 3, 70, 84)
    with torch.inference_mode():
        maps = tiny_r.pretrained(images.flatten(0, 1))
        every, last = tiny_r.decode(maps, 2)
        some, after = tiny_r.decode(maps, 2, drawn=slice(1, None, 2))
    torch.testing.assert_close(some, every[1::2], rtol=3e-6, atol=3e-6)
    assert all(torch.equal(one, other) for one, other in zip(last.tensors, after.tensors))


def test_half_precision_inside_does_not_make_terraces_of_depth(tiny_r):
    image = torch.randn(1, 3, 70, 84)
    with torch.inference_mode():
        exact, _ = tiny_r(image)
        with torch.autocast('cpu', torch.bfloat16):
            half, state = tiny_r(image)
    assert half.dtype == state.levels[0][1].dtype == torch.float32
    assert float((half - exact).abs().max()) < 0.05
    assert len(half.unique()) > 0.9 * half.numel(), 'bfloat16 has 128 values from 1 to 2'


def test_lanes_do_not_mix(tiny_r):
    images = torch.randn(3, 2, 3, 70, 84)
    with torch.inference_mode():
        both, _ = tiny_r.forward_sequence(images)
        alone, _ = tiny_r.forward_sequence(images[:, 1:])
    torch.testing.assert_close(both[:, 1:], alone, rtol=3e-6, atol=3e-6)


def test_the_state_carries_information(tiny_r):
    first, other, second = torch.randn(3, 1, 3, 70, 84)
    with torch.inference_mode():
        anew, _ = tiny_r(second)
        after_first, _ = tiny_r(second, tiny_r(first)[1])
        after_other, _ = tiny_r(second, tiny_r(other)[1])
    assert float((after_first - anew).abs().max()) > 1e-3
    assert float((after_first - after_other).abs().max()) > 1e-4


def test_levels_that_grow_leave_the_gates_open():
    """Unbounded, the level 4 of a student that was trained for 2200 steps had grown to 845."""
    for bound in (True, False):
        network = made('tiny-r', bound_levels=bound)
        for level in (2, 3, 4):
            getattr(network.depth_head.scratch, f'layer{level}_rn').weight.data.mul_(1000)
        gates = []
        for module in network.modules():
            if type(module).__name__ == 'ConvLSTM':
                module.Gates.register_forward_hook(lambda _, __, output: gates.append(output))
        with torch.inference_mode():
            network(torch.randn(1, 3, 84, 112))
        shut = float((torch.cat([x.flatten() for x in gates]).abs() > 5).float().mean())
        assert (shut < 0.01) == bound and (shut > 0.5) != bound


def test_a_residual_level_shows_the_frame_past_its_gates():
    network = made('tiny-r')
    for module in network.modules():
        if type(module).__name__ == 'ConvLSTM':
            module.Gates.weight.data.zero_()
            module.Gates.bias.data.fill_(-100)  # nothing enters, nothing leaves
    images = torch.randn(2, 1, 3, 84, 112)
    pyramids = []
    remember = network.depth_head.remember

    def spy(maps, pyramid, *args):
        after, state = remember(maps, pyramid, *args)
        pyramids.append((pyramid, after))
        return after, state

    network.depth_head.remember = spy
    with torch.inference_mode():
        network.forward_sequence(images)
    before, after = pyramids[0]
    for level in before:
        torch.testing.assert_close(before[level], after[level])


def test_vanilla_networks_have_no_state():
    network = made('tiny')
    image = torch.randn(1, 3, 70, 70)
    with torch.inference_mode():
        assert network(image)[1] is None
        with pytest.raises(ValueError, match='not recurrent'):
            network(image, made('tiny-r')(image)[1])


def test_align_corners_is_a_setting_of_the_last_resize():
    network, image = made('tiny', align_corners=True), torch.randn(1, 3, 70, 84)
    other = made('tiny', align_corners=False)
    sizes = []
    with torch.inference_mode():
        aligned, unaligned = network(image)[0], other(image)[0]
        before = network.depth_head.scratch.output_conv1
        before.register_forward_hook(lambda *args: sizes.append(args[2].shape[-2:]))
        network(image)
    assert sizes == [(40, 48)]
    assert float((aligned - unaligned).abs().max()) > 1e-3


@pytest.mark.parametrize('image, words', [
    (torch.zeros(1, 3, 70, 72), 'width must be a multiple of 14 pixels, not 72: use 70 or 84'),
    (torch.zeros(1, 3, 0, 70), r'\(N, 3, H, W\)'),
    (torch.zeros(1, 3, 7, 70), 'height must be an integer from 14'),
    (torch.zeros(3, 70, 70), r'\(1, 3, 70, 70\)'),
    (torch.zeros(1, 1, 70, 70), r'\(1, 1, 1, 70, 70\)'),
    (torch.zeros(1, 3, 70, 70, dtype=torch.uint8), 'divide by 255'),
    (torch.zeros(1, 3, 14, 14 * 201, device='meta'), 'width must be an integer from 14 to 2800'),
])
def test_bad_images_are_refused_in_a_sentence(tiny_r, image, words):
    with pytest.raises(ValueError, match=words):
        tiny_r(image)


def test_a_state_of_another_size_or_batch_is_refused(tiny_r):
    with torch.inference_mode():
        _, state = tiny_r(torch.zeros(1, 3, 70, 84))
    with pytest.raises(ValueError, match=r'level 3 must have shape \(1, 32, 6, 6\)'):
        tiny_r(torch.zeros(1, 3, 84, 84), state)
    with pytest.raises(ValueError, match='start with None'):
        tiny_r(torch.zeros(2, 3, 70, 84), state)
    with pytest.raises(ValueError, match=r'resets must be booleans of shape \(2, 1\)'):
        tiny_r.forward_sequence(torch.zeros(2, 1, 3, 70, 84), None, torch.zeros(2, 1))


def test_padding_0_needs_5_patches_and_says_so():
    network = made('tiny-r', recurrent_padding=0, recurrent_residual=False)
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 70, 70))[0].shape == (1, 70, 70)
        with pytest.raises(ValueError, match='56x70 pixels is too small.*70x70 or more'):
            network(torch.zeros(1, 3, 56, 70))


@pytest.mark.parametrize('activation, function', [
    ('relu', torch.relu), ('sigmoid', torch.sigmoid),
    ('softplus', torch.nn.functional.softplus)])
def test_activations(activation, function):
    image = torch.randn(1, 3, 70, 70)
    with torch.inference_mode():
        plain = made('tiny', activation='none')(image)[0]
        assert torch.equal(made('tiny', activation=activation)(image)[0], function(plain))


@pytest.mark.parametrize('preset', ['tiny', 'tiny-r', 'vits-r'])
@pytest.mark.parametrize('activation', ['relu', 'softplus'])
def test_untrained_output_is_not_dead(preset, activation):
    """A ReLU at the end must not start, and so stay, at zero; the input must show through."""
    network = made(preset, activation=activation)
    torch.manual_seed(0)
    image = (torch.rand(2, 3, 140, 182) < 0.1).float()
    image = (image - 0.45) / 0.225
    with torch.inference_mode():
        inverse_depth, _ = network(image)
    assert float((inverse_depth <= 0).float().mean()) < 0.01
    assert 0.1 < float(inverse_depth.mean()) < 10
    assert float(inverse_depth.std()) > 0.005
    assert float((inverse_depth[0] - inverse_depth[1]).abs().mean()) > 0.005


def test_every_weight_but_the_unused_gets_a_gradient(tiny_r):
    network = made('tiny-r')
    inverse_depth, _ = network.forward_sequence(torch.randn(2, 1, 3, 70, 84))
    (inverse_depth ** 2).mean().backward()
    without = {key.rpartition('.')[0] for key, weight in network.named_parameters()
               if weight.grad is None or not weight.grad.any()}
    unused = 'depth_head.scratch.refinenet4.resConfUnit1'
    assert without == {'pretrained', f'{unused}.conv1', f'{unused}.conv2'}
    assert network.pretrained.mask_token.grad is None
    assert network.pretrained.pos_embed.grad.any()


def test_initial_weights_depend_on_the_seed_only():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, two, three = made('tiny-r'), made('tiny-r'), made('tiny-r')
    torch.set_rng_state(before)
    initialize_weights(three, seed=1)
    assert torch.equal(torch.get_rng_state(), before), 'the global generator was used'
    same = [torch.equal(a, b) for a, b in zip(one.state_dict().values(),
                                              two.state_dict().values())]
    assert all(same)
    assert not torch.equal(one.pretrained.patch_embed.proj.weight,
                           three.pretrained.patch_embed.proj.weight)
