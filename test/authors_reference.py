# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
DepthAnyEvent and DepthAnyEvent-R once more, in functions of the published keys, to test against.

Written from the description of the architecture alone, and slow; it shares nothing with the
package. The encoder is that of `transformers`.
"""
import torch
import torch.nn.functional as F
from transformers import Dinov2Backbone, Dinov2Config

WIDTH, DEPTH, HEADS, FEATURES = 384, 12, 6, 64  # vits
CHANNELS = (48, 96, 192, 384)


def shapes(recurrent, cell='convlstm'):
    """Return the shape of every published key of vits."""
    found = {'pretrained.cls_token': (1, 1, WIDTH), 'pretrained.mask_token': (1, WIDTH),
             'pretrained.pos_embed': (1, 37 * 37 + 1, WIDTH),
             'pretrained.patch_embed.proj.weight': (WIDTH, 3, 14, 14),
             'pretrained.patch_embed.proj.bias': (WIDTH,)}
    for i in range(DEPTH):
        block = f'pretrained.blocks.{i}'
        for name, out, into in (('attn.qkv', 3 * WIDTH, WIDTH), ('attn.proj', WIDTH, WIDTH),
                                ('mlp.fc1', 4 * WIDTH, WIDTH), ('mlp.fc2', WIDTH, 4 * WIDTH)):
            found |= {f'{block}.{name}.weight': (out, into), f'{block}.{name}.bias': (out,)}
        for name in ('norm1.weight', 'norm1.bias', 'norm2.weight', 'norm2.bias', 'ls1.gamma',
                     'ls2.gamma'):
            found[f'{block}.{name}'] = (WIDTH,)
    found |= {'pretrained.norm.weight': (WIDTH,), 'pretrained.norm.bias': (WIDTH,)}

    def convolution(name, out, into, size, bias=True):
        found[f'depth_head.{name}.weight'] = (out, into, size, size)
        if bias:
            found[f'depth_head.{name}.bias'] = (out,)
    for i, channels in enumerate(CHANNELS):
        convolution(f'projects.{i}', channels, WIDTH, 1)
        convolution(f'scratch.layer{i + 1}_rn', FEATURES, channels, 3, bias=False)
        convolution(f'scratch.refinenet{i + 1}.out_conv', FEATURES, FEATURES, 1)
        for unit in (1, 2):
            for number in (1, 2):
                convolution(f'scratch.refinenet{i + 1}.resConfUnit{unit}.conv{number}', FEATURES,
                            FEATURES, 3)
        if recurrent:
            convolution(f'gru_layer_{i + 1}.conv.conv2d', FEATURES, FEATURES, 3)
            gates = {'Gates': 4} if cell == 'convlstm' else {
                'reset_gate': 1, 'update_gate': 1, 'out_gate': 1}
            for gate, times in gates.items():
                convolution(f'gru_layer_{i + 1}.recurrent_block.{gate}', times * FEATURES,
                            2 * FEATURES, 3)
    for i, size in ((0, 4), (1, 2), (3, 3)):
        convolution(f'resize_layers.{i}', CHANNELS[i], CHANNELS[i], size)
    convolution('scratch.output_conv1', FEATURES // 2, FEATURES, 3)
    convolution('scratch.output_conv2.0', 32, FEATURES // 2, 3)
    convolution('scratch.output_conv2.2', 1, 32, 1)
    return found


def random_weights(recurrent, cell='convlstm', seed=0):
    """Return weights with which every key matters, and the output is never flat."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for key, shape in shapes(recurrent, cell).items():
        values = torch.randn(shape, generator=generator)
        if key.endswith('gamma') or '.norm' in key and key.endswith('weight'):
            values = 1 + 0.2 * values
        elif len(shape) == 1:
            values = 0.2 * values
        elif 'token' in key or 'pos_embed' in key:
            values = 0.5 * values
        else:
            values = values * (shape[1] * (shape[2] * shape[3] if len(shape) == 4 else 1)) ** -.5
        weights[key] = values
    weights['depth_head.scratch.output_conv2.2.weight'] *= 3
    weights['depth_head.scratch.output_conv2.2.bias'] += 2
    return weights


class Reference:
    """Predicts depth frame by frame as the authors do, (1, 3, H, W) to (H, W)."""

    def __init__(self, weights, activation='relu', inverted=True, scale=1.0, recurrent=True,
                 cell='convlstm', positions=None):
        self.w, self.recurrent, self.cell, self.state = weights, recurrent, cell, {}
        self.activation, self.inverted, self.scale = activation, inverted, scale
        self.encoder = Dinov2Backbone(Dinov2Config(
            hidden_size=WIDTH, num_hidden_layers=DEPTH, num_attention_heads=HEADS,
            image_size=518, patch_size=14, out_indices=[3, 6, 9, 12],
            reshape_hidden_states=False, apply_layernorm=True)).eval()
        self.encoder.load_state_dict(self._encoder_weights())
        if positions is not None:
            self.encoder.embeddings.interpolate_pos_encoding = lambda *_: positions

    def _encoder_weights(self):
        names = {key: None for key in self.encoder.state_dict()}
        newer = any('attention.q_proj' in key for key in names)  # transformers 5
        parts = ('q_proj', 'k_proj', 'v_proj') if newer else (
            'attention.query', 'attention.key', 'attention.value')
        found = {}
        for key, value in self.w.items():
            if not key.startswith('pretrained.'):
                continue
            key = key[len('pretrained.'):].replace('blocks', 'encoder.layer')
            kind = key.rpartition('.')[2]
            if '.attn.qkv.' in key:
                stem = key.split('.attn.')[0]
                found |= {f'{stem}.attention.{part}.{kind}': third
                          for part, third in zip(parts, value.chunk(3))}
                continue
            for ours, theirs in (
                    ('attn.proj', 'attention.o_proj' if newer else 'attention.output.dense'),
                    ('ls1.gamma', 'layer_scale1.lambda1'), ('ls2.gamma', 'layer_scale2.lambda1'),
                    ('patch_embed.proj', 'embeddings.patch_embeddings.projection')):
                key = key.replace(ours, theirs)
            if key.startswith('norm.'):
                key = 'layernorm.' + kind
            key = {'cls_token': 'embeddings.cls_token', 'mask_token': 'embeddings.mask_token',
                   'pos_embed': 'embeddings.position_embeddings'}.get(key, key)
            found[key] = value
        return found

    def convolve(self, x, name, **options):
        return F.conv2d(x, self.w[f'depth_head.{name}.weight'],
                        self.w.get(f'depth_head.{name}.bias'), **options)

    def residual(self, x, name):
        y = self.convolve(F.relu(x), f'{name}.conv1', padding=1)
        return x + self.convolve(F.relu(y), f'{name}.conv2', padding=1)

    def enlarge(self, x, i):
        name = f'depth_head.resize_layers.{i}'
        return F.conv_transpose2d(x, self.w[f'{name}.weight'], self.w[f'{name}.bias'],
                                  stride={0: 4, 1: 2}[i])

    def remember(self, x, level):
        x = F.relu(self.convolve(x, f'gru_layer_{level}.conv.conv2d'))
        block = f'gru_layer_{level}.recurrent_block'
        before = self.state.get(level, (torch.zeros_like(x), torch.zeros_like(x)))
        if self.cell == 'convlstm':
            hidden, cell = before
            enter, forget, out, new = self.convolve(
                torch.cat([x, hidden], 1), f'{block}.Gates', padding=1).chunk(4, 1)
            cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(new)
            self.state[level] = torch.sigmoid(out) * torch.tanh(cell), cell
        else:
            hidden = before[0]
            both = torch.cat([x, hidden], 1)
            update = torch.sigmoid(self.convolve(both, f'{block}.update_gate', padding=1))
            reset = torch.sigmoid(self.convolve(both, f'{block}.reset_gate', padding=1))
            new = torch.tanh(self.convolve(torch.cat([x, hidden * reset], 1),
                                           f'{block}.out_gate', padding=1))
            self.state[level] = (hidden * (1 - update) + new * update,)
        return self.state[level][0]

    @torch.inference_mode()
    def __call__(self, image):
        rows, columns = image.shape[-2] // 14, image.shape[-1] // 14
        levels = []
        for i, tokens in enumerate(self.encoder(image).feature_maps):
            x = tokens[:, 1:].transpose(1, 2).reshape(1, WIDTH, rows, columns)
            x = self.convolve(x, f'projects.{i}')
            if i < 2:
                x = self.enlarge(x, i)
            elif i == 3:
                x = self.convolve(x, 'resize_layers.3', stride=2, padding=1)
            x = self.convolve(x, f'scratch.layer{i + 1}_rn', padding=1)
            levels.append(self.remember(x, i + 1) if self.recurrent else x)
        path = None
        for level in (4, 3, 2, 1):
            x, block = levels[level - 1], f'scratch.refinenet{level}'
            if path is not None:
                x = path + self.residual(x, f'{block}.resConfUnit1')
            x = self.residual(x, f'{block}.resConfUnit2')
            size = levels[level - 2].shape[-2:] if level > 1 else [2 * n for n in x.shape[-2:]]
            x = F.interpolate(x, tuple(size), mode='bilinear', align_corners=True)
            path = self.convolve(x, f'{block}.out_conv')
        x = self.convolve(path, 'scratch.output_conv1', padding=1)
        x = F.interpolate(x, image.shape[-2:], mode='bilinear', align_corners=False)
        x = F.relu(self.convolve(x, 'scratch.output_conv2.0', padding=1))
        x = self.convolve(x, 'scratch.output_conv2.2')[0, 0]
        x = {'relu': F.relu, 'sigmoid': torch.sigmoid, 'softplus': F.softplus}[self.activation](x)
        if self.inverted and self.activation == 'relu':
            x = 1 / (x + 1e-6)
        elif self.inverted and self.activation == 'sigmoid':
            x = 1 - x
        return x * self.scale
