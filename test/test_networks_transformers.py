# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The network against `transformers`' Depth Anything, with the same random weights."""

import math

import numpy as np
import pytest
import torch
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

from depth_anyevent_ros.networks.config import ENCODERS, NetworkConfig, NETWORKS
from depth_anyevent_ros.networks.depth_network import DepthNetwork

TINY = NetworkConfig('vitt6', 32, (24, 48, 96, 192))
GRID = 37


def randomised(config, seed=0):
    """Return a network in which every weight matters: biases, LayerScale, tokens, positions."""
    torch.manual_seed(seed)
    network = DepthNetwork(config).eval()
    with torch.no_grad():
        for key, weight in network.state_dict().items():
            if key.endswith('gamma') or '.norm' in key and key.endswith('weight'):
                weight.uniform_(0.5, 1.5)
            elif weight.dim() <= 1:
                weight.normal_(0, 0.2)
            elif 'pos_embed' in key or 'token' in key:
                weight.normal_(0, 0.5)
            else:
                weight.normal_(0, math.sqrt(1 / weight[0].numel()))
        # A wide range, of which the last ReLU hides little.
        network.depth_head.scratch.output_conv2[2].weight.mul_(3)
        network.depth_head.scratch.output_conv2[2].bias.fill_(3)
    return network


def reference_for(config, **options):
    """Return transformers' model of the same architecture, not yet with the same weights."""
    encoder = ENCODERS[config.encoder]
    backbone = Dinov2Config(
        hidden_size=encoder.width, num_hidden_layers=encoder.depth,
        num_attention_heads=encoder.heads, image_size=518, patch_size=14,
        out_indices=[tap + 1 for tap in encoder.taps], reshape_hidden_states=False,
        apply_layernorm=True)
    return DepthAnythingForDepthEstimation(DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=encoder.width,
        neck_hidden_sizes=list(config.out_channels), fusion_hidden_size=config.features,
        head_hidden_size=32, **options)).eval()


def renamed(weights, reference_keys):
    """Return our state dict under the names of transformers."""
    newer = any('attention.q_proj' in key for key in reference_keys)  # transformers 5
    parts = ('q_proj', 'k_proj', 'v_proj') if newer else (
        'attention.query', 'attention.key', 'attention.value')
    attention_output = 'attention.o_proj' if newer else 'attention.output.dense'
    result = {}
    for key, weight in weights.items():
        kind = key.rpartition('.')[2]
        if '.attn.qkv.' in key:
            stem = key.split('.attn.')[0].replace('pretrained.blocks', 'backbone.encoder.layer')
            for part, third in zip(parts, weight.chunk(3)):
                result[f'{stem}.attention.{part}.{kind}'] = third
            continue
        for ours, theirs in [
                ('pretrained.blocks', 'backbone.encoder.layer'),
                ('attn.proj', attention_output),
                ('ls1.gamma', 'layer_scale1.lambda1'), ('ls2.gamma', 'layer_scale2.lambda1'),
                ('pretrained.norm', 'backbone.layernorm'),
                ('pretrained.patch_embed.proj', 'backbone.embeddings.patch_embeddings.projection'),
                ('pretrained.pos_embed', 'backbone.embeddings.position_embeddings'),
                ('pretrained.', 'backbone.embeddings.' if 'token' in key else 'backbone.'),
                ('depth_head.scratch.output_conv1', 'head.conv1'),
                ('depth_head.scratch.output_conv2.0', 'head.conv2'),
                ('depth_head.scratch.output_conv2.2', 'head.conv3'),
                *((f'depth_head.{name}.{i}', f'neck.reassemble_stage.layers.{i}.{their_name}')
                  for i in range(4)
                  for name, their_name in (('projects', 'projection'),
                                           ('resize_layers', 'resize'))),
                *((f'depth_head.scratch.layer{i + 1}_rn', f'neck.convs.{i}') for i in range(4)),
                *((f'depth_head.scratch.refinenet{i}', f'neck.fusion_stage.layers.{4 - i}')
                  for i in range(1, 5)),
                ('out_conv', 'projection'),
                ('resConfUnit1.conv', 'residual_layer1.convolution'),
                ('resConfUnit2.conv', 'residual_layer2.convolution')]:
            if 'neck' not in key or not ours.startswith('depth_head'):
                key = key.replace(ours, theirs)
        result[key] = weight
    return result


def bicubic_weights(count):
    """Return the (count, 37) matrix of bicubic sampling at scale (count + 0.1) / 37."""
    def kernel(distance):
        a, d = -0.75, abs(distance)
        if d <= 1:
            return (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1
        return a * d ** 3 - 5 * a * d ** 2 + 8 * a * d - 4 * a if d < 2 else 0.0

    matrix = np.zeros((count, GRID))
    for row in range(count):
        source = (row + 0.5) * GRID / (count + 0.1) - 0.5
        for tap in range(math.floor(source) - 1, math.floor(source) + 3):
            matrix[row, min(max(tap, 0), GRID - 1)] += kernel(source - tap)
    return matrix


def resized_positions(embedding, rows, columns):
    """Return the official way's position embedding, computed in float64 without torch."""
    values = embedding.detach().numpy().astype(np.float64)
    grid = values[0, 1:].reshape(GRID, GRID, -1)
    grid = np.einsum('ri,cj,ijd->rcd', bicubic_weights(rows), bicubic_weights(columns), grid)
    values = np.concatenate((values[0, :1], grid.reshape(rows * columns, -1)))
    return torch.from_numpy(values[None]).float()


def relative_error(ours, theirs):
    """Return the largest difference over the largest value."""
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize('config', [NETWORKS['vits'], TINY], ids=['vits', 'vitt6'])
@pytest.mark.parametrize('size', [(518, 518), (266, 350)])
def test_same_depth_as_transformers(config, size):
    network, reference = randomised(config), reference_for(config)
    reference.load_state_dict(renamed(network.state_dict(), reference.state_dict()), strict=True)
    if size != (518, 518):
        embedding = resized_positions(network.pretrained.pos_embed, size[0] // 14, size[1] // 14)
        reference.backbone.embeddings.interpolate_pos_encoding = lambda *_: embedding
    image = torch.randn(1, 3, *size)
    with torch.inference_mode():
        ours, state = network(image)
        theirs = reference(image).predicted_depth
    assert state is None
    assert ours.shape == theirs.shape == (1, *size)
    assert theirs.std() > 0.05 * theirs.max() > 0  # a flat map would show nothing
    assert relative_error(ours, theirs) < 1e-4


def test_transformers_own_resize_of_positions_differs():
    """By size instead of by scale factor: it is this that the other test has to set apart."""
    network, reference = randomised(TINY), reference_for(TINY)
    reference.load_state_dict(renamed(network.state_dict(), reference.state_dict()), strict=True)
    image = torch.randn(1, 3, 266, 350)
    with torch.inference_mode():
        error = relative_error(network(image)[0], reference(image).predicted_depth)
    assert 1e-3 < error < 0.2


def test_metric_variant_is_the_inverse_of_metric_depth():
    config = NetworkConfig('vitt6', 32, (24, 48, 96, 192), activation='sigmoid', max_depth=20.0)
    network = randomised(config)
    reference = reference_for(config, depth_estimation_type='metric', max_depth=20)
    reference.load_state_dict(renamed(network.state_dict(), reference.state_dict()), strict=True)
    image = torch.randn(1, 3, 518, 518)
    with torch.inference_mode():
        ours = 1 / network(image)[0]
        theirs = reference(image).predicted_depth
    assert relative_error(ours, theirs) < 1e-4
    assert theirs.std() > 0.1


@pytest.mark.parametrize('rows, columns', [(19, 25), (10, 13), (5, 5), (37, 38), (51, 66)])
def test_position_embedding_is_bicubic_by_scale_factor(rows, columns):
    torch.manual_seed(1)
    network = randomised(TINY)
    expected = resized_positions(network.pretrained.pos_embed, rows, columns)
    with torch.inference_mode():
        ours = network.pretrained.position_embedding(rows, columns)
    assert ours.shape == expected.shape
    assert float((ours - expected).abs().max()) < 2e-5
