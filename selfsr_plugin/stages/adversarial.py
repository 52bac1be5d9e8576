"""The adversarial terms that all stages share."""

from collections.abc import Callable

from torch import Tensor, nn

from ..ops import input_gradient


def discriminator_terms(
    prefix: str,
    judge: Callable[[Tensor], Tensor],
    criterion: nn.Module,
    real: Tensor,
    fake: Tensor,
    r1_reg_weight: float = 0,
    judge_exactly: Callable[[Tensor], Tensor] | None = None,
) -> dict[str, Tensor]:
    """What a discriminator learns from (Eq. 2, Eq. 7, and Eq. 9).

    Args:
        prefix: of the names of the terms: ``<prefix>_real``, ``<prefix>_fake``, ``<prefix>_r1``.
        judge: the discriminator, images in [0, 1] to logits.
        criterion: BasicSR's GANLoss.
        real, fake: (N, C, H, W) in [0, 1], without a graph.
        r1_reg_weight: gamma of Eq. 9; 0 leaves the term out.
        judge_exactly: the discriminator in single precision, for real images when there is Eq. 9; by default ``judge``.
    """
    if r1_reg_weight > 0:
        prediction, gradient = input_gradient(judge_exactly or judge, real)
    else:
        prediction = judge(real)
    terms = {
        f'{prefix}_real': criterion(prediction, True, is_disc=True),
        f'{prefix}_fake': criterion(judge(fake), False, is_disc=True),
    }
    if r1_reg_weight > 0:
        # Eq. 9 is stated for images in [-1, 1], where the squared norm of the gradient is a quarter of that in [0, 1].
        # As BasicSR's r1_penalty, which takes contiguous gradients only.
        terms[f'{prefix}_r1'] = r1_reg_weight / 2 * gradient.square().flatten(1).sum(1).mean() / 4
    return terms
