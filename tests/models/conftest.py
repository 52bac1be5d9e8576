import pytest
import torch

import selfsr_plugin  # noqa: F401  before any test imports basicsr: applies the alias that its import needs


@pytest.fixture
def float64():
    """Networks, batches and losses of the test in double precision."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
