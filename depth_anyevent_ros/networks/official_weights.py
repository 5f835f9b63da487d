# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Published weights in torch's own format (`.pth`): Depth Anything V2, and DepthAnyEvent.

Such a file is a pickle. It is read with weights_only, which builds tensors and plain
containers and runs no code; nothing else in it is ever executed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import io
import re
from typing import Any
import warnings
import zipfile

import torch
from torch import Tensor

from depth_anyevent_ros.networks.authors_weights import (
    are_authors_settings, load_authors, refuse_without_settings)
from depth_anyevent_ros.networks.config import ENCODERS, model_preset, ModelConfig
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.weights_check import (
    build_network, check_finite, check_shapes, CheckpointError, expected_shapes)

ZIP_MAGIC = b'PK\x03\x04'
PICKLE_MAGIC = b'\x80'  # torch before 1.6
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
MAX_UNPACKED_BYTES = 4 << 30  # three times ViT-L in float32
PARALLEL = 'module.'  # before every key of a network that was trained on several GPUs
# Of the metric variants, in metres, by a word of their published names.
METRIC_RANGES = {'hypersim': 20.0, 'vkitti': 80.0}
OFFICIAL = ('vits', 'vitb', 'vitl')
LICENCES = {'vits': 'Apache-2.0', 'vitb': 'CC-BY-NC-4.0', 'vitl': 'CC-BY-NC-4.0'}


def load_official(data: bytes, name: str, max_depth: float | None,
                  beside: Callable[[], Any] = lambda: None) -> tuple[ModelConfig, DepthNetwork]:
    """
    Read a state dict, bare or under `state_dict` or `model`.

    data: the bytes of the file; name: what messages call it. max_depth: metres, for the
    metric variants (20 for the indoor, 80 for the outdoor weights), None for relative ones.
    beside(): the settings that lie beside the file, asked for where none lie in it. With
    settings of the authors of DepthAnyEvent it is theirs, else Depth Anything V2, whose encoder
    is recognised from the shapes. Raises CheckpointError.
    """
    content = _unpickle(data, name)
    weights = _state_dict(content, name)
    settings = content.get('config') if isinstance(content, dict) else None
    if not isinstance(settings, dict):
        settings = beside()
    if are_authors_settings(settings):
        if max_depth is not None:
            raise CheckpointError(f'max_depth was given for {name}, but the settings of its '
                                  'authors say what its depth means: leave max_depth out.')
        return load_authors(weights, settings, name)
    refuse_without_settings(weights, name)
    config = _with_max_depth(_recognise(weights, name), name, max_depth)
    check_shapes(name, expected_shapes(config.network),
                 {key: tuple(tensor.shape) for key, tensor in weights.items()})
    check_finite(name, weights)
    return config, build_network(config.network, weights)


def _unpickle(data: bytes, name: str) -> Any:
    if data.startswith(ZIP_MAGIC):
        _refuse_zip_bomb(data, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # about old formats, which are welcome
            return torch.load(io.BytesIO(data), map_location='cpu', weights_only=True)
    except Exception as error:  # a hostile or damaged pickle can raise nearly anything
        raise CheckpointError(
            f'{name} cannot be read as a file of tensors only: it is damaged, cut short, or '
            f'holds other objects or code, which are never loaded ({_reason(error)}). Download '
            'it again, or save its state dict alone with torch.save(model.state_dict(), path).'
        ) from error


def _reason(error: Exception) -> str:
    """Name the refused object; torch's own text goes on to advise loading it all the same."""
    found = re.search(r'GLOBAL ([\w.]+)', str(error))
    return f'it asks for {found[1][:100]}' if found else type(error).__name__


def _refuse_zip_bomb(data: bytes, name: str) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(item.file_size for item in archive.infolist())
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, OverflowError) as error:
        raise CheckpointError(
            f'{name} begins like a torch file but its end is missing or damaged ({error}). '
            'Download or copy it again.') from error
    if size > MAX_UNPACKED_BYTES:
        raise CheckpointError(f'{name} unpacks to {size} bytes; at most {MAX_UNPACKED_BYTES} were '
                              'expected. Use the original file.')


def _state_dict(content: Any, name: str) -> dict[str, Tensor]:
    for key in ('state_dict', 'model'):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    if not isinstance(content, dict) or not content:
        raise CheckpointError(f'{name} holds {type(content).__name__}, not a state dict (names '
                              'to tensors): save model.state_dict().')
    odd = [key for key, value in content.items() if not isinstance(key, str)
           or not isinstance(value, Tensor) or value.dtype not in DTYPES
           or value.layout != torch.strided or value.is_meta]
    if odd:
        raise CheckpointError(
            f'{len(odd)} of {len(content)} entries of {name} are not tensors of 16 to 64 bits '
            f'floating point with a name ({str(odd[0])[:120]}); a state dict was expected: save '
            'model.state_dict().')
    if all(key.startswith(PARALLEL) for key in content):
        content = {key[len(PARALLEL):]: tensor for key, tensor in content.items()}
    return content


def _recognise(weights: dict[str, Tensor], name: str) -> ModelConfig:
    """Return the preset whose encoder has the token width that the weights have."""
    token = weights.get('pretrained.cls_token')
    width = token.shape[-1] if token is not None and token.dim() == 3 else None
    for preset in OFFICIAL:
        if width == ENCODERS[preset].width:
            return replace(
                model_preset(preset), name=f'depth_anything_v2_{preset}',
                provenance={'trained_on': 'not recorded in the file (Depth Anything V2 keys)',
                            'licence_as_published': LICENCES[preset], 'file': name})
    known = ', '.join(f'{preset} ({ENCODERS[preset].width})' for preset in OFFICIAL)
    came = f'its width is {width}' if width else 'it has no such key'
    raise CheckpointError(
        f'{name} is not a Depth Anything V2 state dict: pretrained.cls_token should have the '
        f'width of {known}, but {came}; the first of its {len(weights)} keys is '
        f'{next(iter(weights))[:120]}. Use a Depth Anything V2 file or one of this package.')


def _with_max_depth(config: ModelConfig, name: str, max_depth: float | None) -> ModelConfig:
    """Metric and relative weights have the same keys and shapes; only the name can tell."""
    if max_depth is None:
        max_depth = next((range_m for word, range_m in METRIC_RANGES.items()
                          if word in name.lower()), None)
    if max_depth is None:
        if 'metric' in name.lower():
            raise CheckpointError(
                f'{name} is named as a metric variant of Depth Anything V2, and the weights do '
                'not tell its range: keep the name that it was published with, which has hypersim '
                '(indoors, 20 m) or vkitti (outdoors, 80 m) in it.')
        return config
    try:
        network = replace(config.network, activation='sigmoid', max_depth=max_depth)
    except ValueError as error:
        raise CheckpointError(f'{name} cannot be loaded as a metric variant: {error}') from error
    return replace(config, name=f'{config.name}_metric', network=network)
