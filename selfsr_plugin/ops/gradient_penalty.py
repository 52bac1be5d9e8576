"""R1 regularisation, Eq. 9 (Mescheder et al., ICML 2018)."""
import torch
from torch import Tensor


def r1_penalty(prediction: Tensor, real: Tensor) -> Tensor:
    """Squared norm of the discriminator's gradient at real images, ``E ||grad_x D(x)||^2``.

    Eq. 9 is ``gamma / 2`` times this, with gamma = 10; the caller multiplies.

    Args:
        prediction: D(real), (N, ...); samples must not influence each other except through minibatch statistics.
        real: (N, C, H, W) with ``requires_grad``, the images that D was given, in [-1, 1]: the weight is stated for
            that range, and the penalty for images in [0, 1] would be 4 times as large.

    Returns:
        Scalar tensor with a graph, so that it can be differentiated by D's parameters.
    """
    gradient, = torch.autograd.grad(prediction.sum(), real, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()
