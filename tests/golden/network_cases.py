"""Every network and variant, and what it computes."""

from collections.abc import Callable
from typing import Any

import torch
from golden_kit import fill, gradients, images, normal, summary
from torch import Tensor, nn

from selfsr_plugin.archs import (
    CycleGANGenerator,
    DomainDiscriminator,
    FlowDegradationNet,
    ProgressiveDiscriminator,
    SelfCondSRNet,
)


def _observe(net: nn.Module, given: Tensor, *arguments: Any, **keywords: Any) -> dict[str, Any]:
    given.requires_grad_()
    output = net(given, *arguments, **keywords)
    parts = output._asdict() if isinstance(output, tuple) else {'output': output}
    loss = sum((part * normal(f'loss {name}', tuple(part.shape))).sum() for name, part in parts.items())
    return {**{name: summary(part) for name, part in parts.items()}, 'gradients': gradients(net, given, loss)}


def _super_resolution(level: int, alpha: float, **arguments: Any) -> dict[str, Any]:
    net = fill(SelfCondSRNet(**arguments).double(), equalized=True)
    return _observe(net, images('lq', 2, net.stem.in_channels, 5, 7), level, alpha)


def _whole_super_resolution() -> dict[str, Any]:
    net = fill(SelfCondSRNet(widths=[5, 4], num_block=1, cond_ratio=2).double(), equalized=True)
    return _observe(net, images('lq', 1, 3, 6, 6))


def _degradation(height: int, width: int, parts: bool, **arguments: Any) -> dict[str, Any]:
    net = fill(FlowDegradationNet(num_feat=4, num_block=2, **arguments).double())
    return _observe(net, images('clean', 2, 3, height, width), return_parts=parts)


def _cyclegan(height: int, width: int) -> dict[str, Any]:
    net = fill(CycleGANGenerator(num_feat=4, num_block=2).double())
    return _observe(net, images('clean', 2, 3, height, width))


def _domain(height: int, width: int) -> dict[str, Any]:
    return _observe(fill(DomainDiscriminator(num_feat=4).double()), images('lr', 3, 3, height, width))


def _progressive(level: int, alpha: float, count: int, **arguments: Any) -> dict[str, Any]:
    net = fill(ProgressiveDiscriminator(feat_base=64, feat_max=6, **arguments).double(), equalized=True)
    side = arguments['size'] >> (arguments['num_level'] - level)
    return _observe(net, images('hr', count, 3, side, side), level, alpha)


def _growth(num_level: int) -> list[tuple[int, float]]:
    """Every level, alone and faded in at 0.3."""
    return [(level, alpha) for level in range(1, num_level + 1) for alpha in ((1.0, 0.3) if level > 1 else (1.0,))]


def _cases() -> dict[str, Callable[[], dict[str, Any]]]:
    cases: dict[str, Callable[[], dict[str, Any]]] = {}

    def add(name: str, function: Callable[..., dict[str, Any]], *arguments: Any, **keywords: Any) -> None:
        cases[name] = lambda: function(*arguments, **keywords)

    for condition in ('scale', 'concat'):
        for widths in ([6], [6, 5], [6, 5, 4]):
            for level, alpha in _growth(len(widths)):
                add(
                    f'SelfCondSRNet {condition} x{2 ** len(widths)} level {level} alpha {alpha}',
                    _super_resolution,
                    level,
                    alpha,
                    widths=widths,
                    num_block=2,
                    cond_ratio=2,
                    condition=condition,
                )
    add(
        'SelfCondSRNet grey to colour', _super_resolution, 2, 1.0, widths=[4, 4], num_block=1, cond_ratio=9, num_in_ch=1
    )
    add('SelfCondSRNet full scale', _whole_super_resolution)
    for center_flow in (False, True):
        for height, width in ((16, 16), (13, 10)):
            add(
                f'FlowDegradationNet {height}x{width} center_flow {center_flow}',
                _degradation,
                height,
                width,
                True,
                max_flow=1.5,
                center_flow=center_flow,
            )
    add('FlowDegradationNet degraded alone', _degradation, 4, 9, False)
    for height, width in ((16, 16), (13, 10), (5, 6)):
        add(f'CycleGANGenerator {height}x{width}', _cyclegan, height, width)
    for height, width in ((16, 16), (25, 21)):
        add(f'DomainDiscriminator {height}x{width}', _domain, height, width)
    for level, alpha in _growth(3):
        add(
            f'ProgressiveDiscriminator 32 level {level} alpha {alpha}',
            _progressive,
            level,
            alpha,
            6,
            size=32,
            num_level=3,
        )
    add('ProgressiveDiscriminator 20, groups of 2', _progressive, 2, 1.0, 4, size=20, num_level=2, stddev_group=2)
    return cases


CASES = _cases()


def compute(name: str) -> dict[str, Any]:
    """What the network of this name gives, with the gradients of a fixed combination of it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CASES[name]()
