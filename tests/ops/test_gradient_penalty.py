"""R1 (Eq. 9)."""
import torch
from basicsr.losses import r1_penalty as basicsr_r1_penalty

from selfsr_plugin.ops import r1_penalty


def random_tensor(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_linear_discriminator_has_the_norm_of_its_weights():
    weights = torch.tensor([[3.0, 0.0], [0.0, -4.0]], dtype=torch.float64).reshape(1, 1, 2, 2)
    real = random_tensor(5, 1, 2, 2).requires_grad_()
    assert r1_penalty((weights * real).sum(dim=(1, 2, 3)), real) == 25


def test_quadratic_discriminator():
    # D(x) = |x|^2 / 2 has the gradient x.
    real = random_tensor(3, 2, 4, 5).requires_grad_()
    got = r1_penalty(real.square().sum(dim=(1, 2, 3)) / 2, real)
    torch.testing.assert_close(got, real.detach().square().sum() / 3)


def test_shape_of_the_logits_does_not_matter():
    real = random_tensor(3, 2, 4, 4).requires_grad_()
    patches = real.square().mean(1, keepdim=True)  # (N, 1, H, W), as PatchGAN gives
    expected = r1_penalty(real.square().mean(1).sum(dim=(1, 2)), real)
    torch.testing.assert_close(r1_penalty(patches, real), expected)


def test_equals_basicsr():
    real = random_tensor(4, 3, 5, 5).requires_grad_()
    prediction = torch.tanh(real).cumsum(3).square().sum(dim=(1, 2, 3))[:, None]
    torch.testing.assert_close(r1_penalty(prediction, real), basicsr_r1_penalty(prediction, real))


def test_gradient_in_the_parameters_of_the_discriminator():
    real = random_tensor(2, 1, 3, 3).requires_grad_()

    def penalty(weights: torch.Tensor, head: torch.Tensor) -> torch.Tensor:
        return r1_penalty(torch.tanh(real.flatten(1) @ weights) @ head, real)

    parameters = (random_tensor(9, 4, seed=1).requires_grad_(), random_tensor(4, 1, seed=2).requires_grad_())
    assert torch.autograd.gradcheck(penalty, parameters)
