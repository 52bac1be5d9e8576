"""Weights, inputs and figures that depend on names, shapes and seeds alone: not on torch's generators, nor on the order
in which a network makes its layers."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

FOLDER = Path(__file__).resolve().parent


def _random(name: str) -> np.random.RandomState:
    return np.random.RandomState(zlib.crc32(name.encode()))  # NumPy promises that this stream never changes


def normal(name: str, shape: tuple[int, ...]) -> Tensor:
    """N(0, 1), float64, a function of the name."""
    return torch.from_numpy(_random(name).standard_normal(shape))


def images(name: str, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    """(N, C, H, W), float64, in [low, high]: coarse blocks, hard edges, a slope across the image, and noise."""
    n, c, height, width = shape
    rng = _random(name)
    coarse = rng.random_sample((n, c, -(-height // 4), -(-width // 4))).repeat(4, 2).repeat(4, 3)[..., :height, :width]
    slope = np.linspace(0, 1, height)[:, None] * np.linspace(1, 0.5, width)
    found = 1.4 * (0.5 * coarse + 0.2 * slope + 0.3 * rng.random_sample(shape)) - 0.2
    return torch.from_numpy(np.clip(found, 0, 1) * (high - low) + low)


def fill(net: nn.Module, name: str = '', gain: float = 1.0, equalized: bool = False) -> nn.Module:
    """Give every parameter a value that is a function of its name and shape; all of them are trained afterwards.

    Args:
        name: of the network, so that two of one kind can differ.
        gain: of the weights.
        equalized: weights of N(0, gain), for layers that scale them at run time; else of N(0, gain^2 * 2 / fan_in).
    """
    with torch.no_grad():
        for key, parameter in net.named_parameters():
            values = normal(f'{name}/{key}/{tuple(parameter.shape)}', tuple(parameter.shape))
            fan_in = parameter[0].numel() if parameter.dim() > 1 else 50
            parameter.copy_(values * gain * (1.0 if equalized and parameter.dim() > 1 else (2 / fan_in) ** 0.5))
    return net.requires_grad_(True)


def rounded(value: float) -> float:
    """Ten digits, which is more than is compared."""
    return float(f'{value:.10g}')


def picked(output: Tensor) -> list[float]:
    """Values at the corners, edges and inside of the first and the last image; all of an output without places."""
    if output.dim() == 4 and output.shape[-1] > 4:
        height, width = output.shape[-2:]
        places = [
            (0, 0),
            (0, -1),
            (-1, 0),
            (-1, -1),
            (0, width // 2),
            (height // 2, 0),
            (-2, width // 3),
            (height // 2, width // 2),
            (height // 2 + 1, width // 2 - 1),
        ]
        output = torch.stack([output[[0, -1]][..., row, column] for row, column in places])
    return [rounded(value) for value in output.detach().flatten().tolist()]


def summary(output: Tensor) -> dict[str, Any]:
    """Shape, mean, deviation and picked values."""
    return dict(
        shape=list(output.shape),
        mean=rounded(output.mean().item()),
        std=rounded(output.std().item()),
        values=picked(output),
    )


def gradients(net: nn.Module, given: Tensor, loss: Tensor) -> dict[str, float]:
    """Norm of the gradient by each parameter and by the input; parameters without effect are left out."""
    net.zero_grad(set_to_none=True)
    loss.backward()
    norms = {key: each.grad.norm().item() for key, each in net.named_parameters() if each.grad is not None}
    norms['input'] = given.grad.norm().item()
    noise = 1e-10 * max(norms.values())
    return {key: rounded(norm) for key, norm in norms.items() if norm > noise}


def differences(found: Any, stored: Any, rtol: float, where: str = '') -> list[str]:
    """Where two nested results part by more than ``rtol`` (relative to the larger of the value and 0.01)."""
    if isinstance(stored, dict):
        if not isinstance(found, dict) or set(found) != set(stored):
            return [f'{where}: {sorted(found)} instead of {sorted(stored)}']
        return [text for key in stored for text in differences(found[key], stored[key], rtol, f'{where}/{key}')]
    if isinstance(stored, list):
        if len(found) != len(stored):
            return [f'{where}: {len(found)} values instead of {len(stored)}']
        return [text for i, (a, b) in enumerate(zip(found, stored)) for text in differences(a, b, rtol, f'{where}/{i}')]
    if isinstance(stored, float):
        return [] if abs(found - stored) <= rtol * max(abs(stored), 1e-2) else [f'{where}: {found} instead of {stored}']
    return [] if found == stored else [f'{where}: {found} instead of {stored}']
