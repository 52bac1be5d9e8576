"""What a network costs: its parameters, and its multiply-adds for one image."""

from copy import deepcopy
from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


class Complexity(NamedTuple):
    """The size of a network and of its work."""

    parameters: int
    multiply_adds: int


@torch.no_grad()
def complexity(net: nn.Module, *shapes: tuple[int, ...]) -> Complexity:
    """Count the parameters of ``net`` and the multiply-adds of ``net(*inputs)`` in evaluation.

    Convolutions and matrix products count, a multiplication with its addition as one; normalisation, activations,
    bilinear sampling and sums do not, as is usual. Nothing is computed: the network is followed without its values, so
    the largest one takes no memory and no time to speak of. A network that grows is counted at its level.

    Args:
        net: not changed.
        shapes: of the inputs, for one image e.g. (1, 3, 16, 16).
    """
    parameters = sum(parameter.numel() for parameter in net.parameters())
    shadow = deepcopy(net).to('meta').eval()
    with FlopCounterMode(display=False) as counter:
        shadow(*(torch.empty(shape, device='meta') for shape in shapes))
    return Complexity(parameters, counter.get_total_flops() // 2)
