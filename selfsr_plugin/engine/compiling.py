"""torch.compile for networks that are trained."""

from functools import cache

import torch
from torch import nn

from ..errors import UserError

BACKEND = 'inductor'
_VARIANTS = 64  # of one network: levels, learning or frozen, batches and parts of them; torch gives up after 8


def compiled_network(net: nn.Module) -> nn.Module:
    """``net`` compiled as a whole, for each shape and argument that it is called with; it shares its parameters.

    Compiling takes place at the first call of each kind, in the rehearsal of a run.
    """
    config = torch._dynamo.config
    limit = 'recompile_limit' if hasattr(config, 'recompile_limit') else 'cache_size_limit'  # its name in torch 2.6
    setattr(config, limit, max(getattr(config, limit), _VARIANTS))
    return torch.compile(net, backend=BACKEND, fullgraph=True, dynamic=False)


@cache
def check_compiler(device: torch.device) -> None:
    """Compile a line.

    Raises:
        UserError: it does not work on this machine.
    """
    try:
        torch.compile(lambda x: 2 * x + 1, backend=BACKEND)(torch.ones(2, device=device))
    except Exception as error:  # whatever a compiler, or the lack of one, comes to
        needs = 'a C++ compiler (g++)' if device.type == 'cpu' else 'Triton and a C compiler (gcc)'
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UserError(
            f'compile: true: nothing can be compiled on this machine ({reason.rstrip(".")}): install {needs}, or write '
            'compile: false.'
        ) from error
