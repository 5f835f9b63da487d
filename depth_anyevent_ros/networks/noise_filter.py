# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Events that stand alone are taken for noise, and not shown to the network.

The background activity filter of Delbruck (Frame-free dynamic digital vision, 2008), on the cells
of a Tencode in place of pixels: what moves has neighbours that saw it at about the same time, a
pixel that leaks has not. It is part of the network, so that whatever runs it does the same.
"""
from __future__ import annotations

import torch
from torch import Tensor
import torch.nn.functional as F

NOWHERE = -1e4  # the age of a cell without an event, far from any other; fp16 has it


def supported(image: Tensor, within: float) -> Tensor:
    """
    Return a Tencode without the cells that have no neighbour.

    image: (N, 3, H, W), divided by one number for all channels, 0 where there is no event. within:
    how far apart in age, as a part of the window, two of the nine cells may be.
    """
    red, age, blue = image.unbind(1)
    scale = red + blue  # of an event one of them is 1
    age = torch.where(scale > 0, age, NOWHERE)
    around = F.pad(age, (1, 1, 1, 1), value=NOWHERE)
    height, width = age.shape[-2:]
    near = sum(((around[:, y:y + height, x:x + width] - age).abs() < within * scale).int()
               for y in range(3) for x in range(3))  # with the cell itself
    return image * (near > 1)[:, None]
