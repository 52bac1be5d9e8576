"""What discriminators learn from: the two sides of Eqs. 2 and 7, and R1 (Eq. 9)."""

from functools import partial

import pytest
import torch
from basicsr.losses.gan_loss import GANLoss

from selfsr_plugin.stages.adversarial import discriminator_terms

HINGE = GANLoss('hinge', loss_weight=0.5)


def random_tensor(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def terms_of(judge, real, gamma=10.0):
    return discriminator_terms('l_d', judge, HINGE, real, random_tensor(*real.shape, seed=9), gamma)


def test_linear_discriminator_has_the_norm_of_its_weights():
    """D(x) = w . x in [-1, 1] is D((x + 1) / 2) in [0, 1]: there the gradient is 2 w."""
    weights = torch.tensor([[3.0, 0.0], [0.0, -4.0]], dtype=torch.float64).reshape(1, 1, 2, 2)
    terms = terms_of(lambda images: (weights * (2 * images - 1)).sum(dim=(1, 2, 3)), random_tensor(5, 1, 2, 2))
    assert terms['l_d_r1'].item() == pytest.approx(10 / 2 * 25)


def test_quadratic_discriminator():
    # D(x) = |x|^2 / 2, x in [-1, 1], has the gradient x.
    real = random_tensor(3, 2, 4, 5)
    terms = terms_of(lambda images: (2 * images - 1).square().sum(dim=(1, 2, 3)) / 2, real)
    torch.testing.assert_close(terms['l_d_r1'], 5 * (2 * real - 1).square().sum() / 3)


def test_shape_of_the_logits_does_not_matter():
    """Logits (N, 1, H, W), as PatchGAN gives: their sum counts."""
    real = random_tensor(3, 2, 4, 4)
    patches = terms_of(lambda images: images.square().mean(1, keepdim=True), real)
    summed = terms_of(lambda images: images.square().mean(1).sum(dim=(1, 2)), real)
    torch.testing.assert_close(patches['l_d_r1'], summed['l_d_r1'])


def test_two_sides():
    real, fake = random_tensor(4, 1, 2, 2), random_tensor(4, 1, 2, 2, seed=9)

    def judge(images):
        return 3 * images.mean(dim=(1, 2, 3)) - 1

    terms = discriminator_terms('l_d_lq', judge, HINGE, real, fake)
    assert set(terms) == {'l_d_lq_real', 'l_d_lq_fake'}
    torch.testing.assert_close(terms['l_d_lq_real'], (1 - judge(real)).clamp(min=0).mean())
    torch.testing.assert_close(terms['l_d_lq_fake'], (1 + judge(fake)).clamp(min=0).mean())


@pytest.mark.parametrize('gamma, exactly, judged', [(0, [], ['real', 'fake']), (10, ['real'], ['fake'])])
def test_real_images_are_judged_exactly_where_their_gradient_counts_and_only_there(gamma, exactly, judged):
    real, fake = random_tensor(2, 1, 3, 3), random_tensor(2, 1, 3, 3, seed=9)
    seen, exact = [], []

    def judge(images, to):
        to.append('real' if torch.equal(images, real) else 'fake')
        assert images.requires_grad == (to is exact)
        return images.square().sum(dim=(1, 2, 3))

    discriminator_terms('l_d', partial(judge, to=seen), HINGE, real, fake, gamma, partial(judge, to=exact))
    assert exact == exactly and seen == judged


def test_batch_is_left_without_a_graph():
    real = random_tensor(2, 1, 3, 3)
    terms_of(lambda images: images.square().sum(dim=(1, 2, 3)), real)
    assert not real.requires_grad and real.grad is None


def test_gradient_in_the_parameters_of_the_discriminator():
    real = random_tensor(2, 1, 3, 3)

    def penalty(weights: torch.Tensor, head: torch.Tensor) -> torch.Tensor:
        return terms_of(lambda images: torch.tanh(images.flatten(1) @ weights) @ head, real)['l_d_r1']

    parameters = (random_tensor(9, 4, seed=1).requires_grad_(), random_tensor(4, 1, seed=2).requires_grad_())
    assert torch.autograd.gradcheck(penalty, parameters)
