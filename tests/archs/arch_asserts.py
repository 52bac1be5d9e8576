"""What is asked of every network; each test file calls these for its own."""

from copy import deepcopy
from typing import Any
from collections.abc import Callable

import pytest
import torch
from basicsr.archs import build_network
from torch import Tensor, nn


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def make(cls: type, seed: int = 0, **arguments: Any) -> nn.Module:
    """A network with reproducible weights, none of them zero (heads that start at zero would hide mistakes)."""
    torch.manual_seed(seed)
    net = cls(**arguments)
    for parameter in net.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return net


def count_on_meta(cls: type, **arguments: Any) -> int:
    """Parameters of a full-size network, without its memory."""
    with torch.device('meta'):
        return sum(parameter.numel() for parameter in cls(**arguments).parameters())


def assert_built_by_basicsr(cls: type, arguments: dict[str, Any]) -> None:
    options = {'type': cls.__name__, **arguments}
    before = deepcopy(options)
    net = build_network(options)
    assert type(net) is cls
    assert options == before, 'building a network changed its options'


def assert_close_in_mixed_precision(net: nn.Module, dtype: torch.dtype, tolerance: float, *inputs: Tensor) -> None:
    """``tolerance`` is relative to the spread of the output."""
    net.eval()
    with torch.no_grad():
        expected = net(*inputs)
        with torch.autocast('cpu', dtype=dtype):
            got = net(*inputs).float()
    assert got.isfinite().all()
    error = (got - expected).abs().max() / (expected.max() - expected.min())
    assert error < tolerance, f'{error:.4f} of the output range'


def assert_repr_is_honest(net: nn.Module, *facts: str) -> None:
    head = repr(net)[:400]
    count = sum(parameter.numel() for parameter in net.parameters())
    for fact in (type(net).__name__, *facts, f'{count:,} parameters'):
        assert fact in head, f'{fact!r} is not in {head}'


def parameters_with_gradient(net: nn.Module, output: Callable[[], Tensor]) -> set[str]:
    net.zero_grad(set_to_none=True)
    net.requires_grad_(True)
    output().square().sum().backward()
    return {name for name, parameter in net.named_parameters() if parameter.grad is not None}


def assert_active_modules_are_those_used(
    net: nn.Module, level: int, fading: bool, output: Callable[[], Tensor]
) -> None:
    """What ``active_modules`` lists is what gets a gradient: DistributedDataParallel hangs or drifts otherwise."""
    active = {id(parameter) for module in net.active_modules(level, fading) for parameter in module.parameters()}
    listed = {name for name, parameter in net.named_parameters() if id(parameter) in active}
    assert listed == parameters_with_gradient(net, output)


def assert_only_used_parameters_are_trained(
    net: nn.Module, level: int, alpha: float, output: Callable[[], Tensor]
) -> None:
    """After ``grow_to``, the network as it is called without a level trains what that call uses, and nothing else."""
    net.grow_to(level, alpha)
    trained = {name for name, parameter in net.named_parameters() if parameter.requires_grad}
    assert trained == parameters_with_gradient(net, output)


def assert_same_on_gpu(net: nn.Module, *inputs: Tensor, tolerance: float = 1e-4, **keywords: Any) -> None:
    """Output and gradients on the GPU equal those on the CPU."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    results = []
    for device in ('cpu', 'cuda'):
        net = net.to(device)
        net.zero_grad(set_to_none=True)
        output = net(*(x.to(device) for x in inputs), **keywords)
        output.square().mean().backward()
        # clones: ``to`` moves the gradients that are there along with the parameters
        results.append([output.detach().cpu()] + [p.grad.cpu().clone() for p in net.parameters() if p.grad is not None])
    for cpu, gpu in zip(*results):
        torch.testing.assert_close(gpu, cpu, rtol=tolerance, atol=tolerance * max(1.0, cpu.abs().max().item()))


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device on this machine')
