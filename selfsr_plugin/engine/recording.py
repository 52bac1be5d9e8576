"""Forward and backward passes recorded as CUDA graphs: one launch, where each of their kernels was one."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError

_WARM_UP = 2  # computed as ever before they are recorded: libraries and compilers set themselves up in the first

Function = Callable[
    [dict[str, Tensor]], Any
]  # of the tensors of a batch; what it returns are tensors that stay in place


class Recordings:
    """Functions of a batch that leave gradients in parameters, recorded when they come for the third time.

    What is recorded is bound to its memory: batches are copied to where that of the recording lay, and what it returns,
    gradients too, is overwritten by the next replay, and by that of recordings made before it.

    Args:
        capture: gives what a function returns and what replays it; :func:`cuda_graph`, but in tests.
    """

    def __init__(
        self, capture: Callable[[Callable[[], Any], Any], tuple[Any, Callable[[], None]]] | None = None
    ) -> None:
        self._capture = capture or cuda_graph
        self.clear()

    def clear(self) -> None:
        """Forget all; called when networks train other parameters than before."""
        self._seen: Counter[Hashable] = Counter()
        self._recorded: dict[Hashable, _Recording] = {}
        self._pool: Any = None

    def run(self, key: Hashable, function: Function, batch: dict[str, Tensor], nets: Iterable[nn.Module]) -> Any:
        """``function(batch)``, computed or replayed.

        Args:
            key: what the function computes, beside shapes and formats of the batch, which are looked at here.
            function: gives the same operations for the same key each time.
            batch: its tensors.
            nets: the networks whose parameters it leaves gradients in.

        Raises:
            UserError: it cannot be recorded.
        """
        key = (key, tuple((name, value.shape, value.dtype) for name, value in batch.items()))
        if key not in self._recorded:
            self._seen[key] += 1
            if self._seen[key] <= _WARM_UP:
                return function(batch)
            self._recorded[key] = self.record(function, batch, nets)
        return self._recorded[key].replay(batch)

    def record(self, function: Function, batch: dict[str, Tensor], nets: Iterable[nn.Module]) -> '_Recording':
        """``function(batch)``, recorded and not yet computed.

        Raises:
            UserError: it cannot be.
        """
        if self._pool is None and self._capture is cuda_graph:
            self._pool = torch.cuda.graph_pool_handle()  # one for all: they never run at the same time
        place = {name: value.clone() for name, value in batch.items()}
        try:
            result, replay = self._capture(lambda: function(dict(place)), self._pool)
        except RuntimeError as error:
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise UserError(
                f'cuda_graphs: true: an iteration of these networks and losses cannot be recorded '
                f'({reason.rstrip(".")}): write cuda_graphs: false.'
            ) from error
        gradients = [(each, each.grad) for net in nets for each in net.parameters() if each.grad is not None]
        return _Recording(place, result, replay, gradients)


class _Recording:
    def __init__(
        self,
        place: dict[str, Tensor],
        result: Any,
        replay: Callable[[], None],
        gradients: list[tuple[nn.Parameter, Tensor]],
    ) -> None:
        self._place, self._result, self._replay, self._gradients = place, result, replay, gradients

    def replay(self, batch: dict[str, Tensor]) -> Any:
        for name, value in batch.items():
            self._place[name].copy_(value, non_blocking=True)
        self._replay()
        for parameter, gradient in self._gradients:
            parameter.grad = gradient
        return self._result


def cuda_graph(function: Callable[[], Any], pool: Any) -> tuple[Any, Callable[[], None]]:
    """Record ``function`` on the GPU, in memory of ``pool``."""
    graph = torch.cuda.CUDAGraph()
    # The workers' images are put into pinned memory by another thread meanwhile.
    with torch.cuda.graph(graph, pool=pool, capture_error_mode='thread_local'):
        result = function()
    return result, graph.replay
