"""What the two networks that grow have in common."""

from torch import nn


class GrowingNetwork(nn.Module):
    """A network of ``num_level`` levels, each at twice the resolution of the one below it.

    ``forward(x)`` runs at ``self.level`` with ``self.alpha``: all levels, as the network is built. Parameters that this
    does not use require no gradient, for DistributedDataParallel waits for one from each that does; a trainer that goes
    through the levels switches on what it needs.
    """

    num_level: int

    def active_modules(self, level: int, fading: bool) -> list[nn.Module]:
        """The modules that ``forward(x, level, alpha)`` uses; ``fading`` means alpha < 1."""
        raise NotImplementedError

    def grow_to(self, level: int, alpha: float = 1.0) -> None:
        """From now on ``forward(x)`` runs at this level, and the parameters that it uses are those to train.

        Args:
            level: 1 to ``num_level``.
            alpha: weight of this level against the one below it.

        Raises:
            ValueError: the network has no such level.
        """
        self._check_level(level)
        self.level, self.alpha = level, alpha
        self.requires_grad_(False)
        for module in self.active_modules(level, alpha < 1):
            module.requires_grad_(True)

    def growth(self, level: int | None, alpha: float | None) -> tuple[int, float]:
        """The arguments of ``forward``, with those of :meth:`grow_to` for a level that is not given."""
        if level is None:
            return self.level, self.alpha if alpha is None else alpha
        self._check_level(level)
        return level, 1.0 if alpha is None else alpha

    def _check_level(self, level: int) -> None:
        """ValueError if the network has no such level."""
        if not 1 <= level <= self.num_level:
            raise ValueError(f'{type(self).__name__} has levels 1 to {self.num_level}, not level {level}.')
