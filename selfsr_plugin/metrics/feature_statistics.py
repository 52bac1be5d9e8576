"""Mean and covariance of the features of a set of images, gathered while they stream by."""

from pathlib import Path

import numpy as np

from ..errors import UserError
from ..files import whole_file

_BLOCK = 128  # rows folded in at once: one matrix product is much faster than 128 outer products


class FeatureStatistics:
    """Mean and covariance in float64, without keeping the features: the sums of any number of parts can be merged.

    Parts are combined after Chan, Golub and LeVeque (1979), which loses no digits where the mean is large against the
    spread, as the sum of squares would.

    Args:
        dimension: number of features D.
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self._count: int | None = 0  # None: a statistics file that does not say
        self._mean = np.zeros(dimension)
        self._scatter: np.ndarray | None = None  # sum of (x - mean)(x - mean)^T; None is zero
        self._pending: list[np.ndarray] = []

    @property
    def count(self) -> int | None:
        """Number of images N; None for a statistics file that does not say."""
        return None if self._count is None else self._count + len(self._pending)

    def update(self, features: np.ndarray) -> None:
        """Take the features (N, D) of some images.

        Raises:
            ValueError: not (N, D), or a value that is no finite number.
        """
        if features.ndim != 2 or features.shape[1] != self.dimension:
            raise ValueError(f'features of shape (N, {self.dimension}) are needed, got {features.shape}.')
        if not np.isfinite(features).all():
            raise ValueError('the features hold values that are no finite numbers.')
        self._pending.extend(features.astype(np.float64))
        if len(self._pending) >= _BLOCK:
            self._fold()

    def _fold(self) -> None:
        if self._pending:
            rows = np.stack(self._pending)
            self._pending = []
            mean = rows.mean(axis=0)
            self._combine(len(rows), mean, (rows - mean).T @ (rows - mean))

    def _combine(self, count: int, mean: np.ndarray, scatter: np.ndarray | None) -> None:
        if scatter is not None:
            self._scatter = scatter if self._scatter is None else self._scatter + scatter
        total = self._count + count
        if self._count:
            shift = mean - self._mean
            self._scatter = self._scatter + np.outer(shift, shift) * (self._count * count / total)
        self._mean = self._mean + (mean - self._mean) * (count / total)
        self._count = total

    def merge(self, other: 'FeatureStatistics') -> None:
        """Add what another part of the set, for example another process, has gathered."""
        if other.dimension != self.dimension:
            raise ValueError(f'statistics of {self.dimension} and of {other.dimension} features cannot be merged.')
        self._pending.extend(other._pending)
        if len(self._pending) >= _BLOCK:
            self._fold()
        if other._count:
            self._fold()
            self._combine(other._count, other._mean, other._scatter)

    @property
    def mean(self) -> np.ndarray:
        """(D,), float64."""
        self._fold()
        return self._mean

    @property
    def covariance(self) -> np.ndarray:
        """(D, D), float64, divided by N - 1 as numpy.cov does.

        Raises:
            ValueError: fewer than two images.
        """
        self._fold()
        if self._count is None:
            return self._scatter
        if self._count < 2:
            raise ValueError(f'a covariance needs two images or more, and there is {self._count or "none"}.')
        return self._scatter / (self._count - 1)

    def save(self, path: str | Path) -> None:
        """Write an .npz file with 'mu' and 'sigma', as pytorch-fid does, and 'n', which it leaves out."""
        with whole_file(path) as file:
            np.savez(file, mu=self.mean, sigma=self.covariance, n=np.int64(self.count))

    @classmethod
    def load(cls, path: str | Path, dimension: int) -> 'FeatureStatistics':
        """Read a file of :meth:`save` or of pytorch-fid.

        Raises:
            ValueError: no such statistics in it, or of another number of features. FileNotFoundError: no file.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                mean, covariance = file['mu'].astype(np.float64), file['sigma'].astype(np.float64)
                count = int(file['n']) if 'n' in file else None
        except FileNotFoundError:
            raise FileNotFoundError(f'there is no statistics file {path}.') from None
        except Exception as error:  # numpy raises many kinds for a foreign file
            raise UserError(
                f"{path} is no statistics file: an .npz with 'mu' and 'sigma' is needed, as pytorch-fid "
                'or evaluate --save-statistics write it.'
            ) from error
        if mean.shape != (dimension,) or covariance.shape != (dimension, dimension):
            raise UserError(
                f'{path} holds statistics of shapes {mean.shape} and {covariance.shape}, but the features '
                f'compared here have {dimension} values: make the file with the same metric.'
            )
        if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
            raise UserError(f'{path} holds values that are not finite (NaN or infinity): make it again.')
        statistics = cls(dimension)
        statistics._mean, statistics._count = mean, count
        statistics._scatter = covariance if count is None else covariance * (count - 1)
        return statistics
