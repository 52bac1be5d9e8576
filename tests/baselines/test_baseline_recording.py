"""What the methods learn from can be recorded: it depends on the batch alone, through all iterations."""

import pytest
import torch
from basicsr.models import build_model
from graph_kit import Graphs
from method_kit import CASES, train
from model_kit import assert_identical, everything


@pytest.mark.parametrize('case', CASES)
def test_recorded_updates_compute_the_same(tmp_path, case):
    opt = CASES[case](tmp_path)
    model, plain = build_model(opt), build_model(opt)
    stages = [getattr(each, 'stage', each) for each in (model, plain)]
    graphs = Graphs(stages[0])
    train(model, opt, range(1, 9))
    train(plain, opt, range(1, 9))
    assert graphs.replayed > 0
    assert_identical(*map(everything, stages))


@pytest.mark.parametrize('case', CASES)
def test_trains_in_mixed_precision(tmp_path, case):
    """In which GPUs train by default; there, not every operation takes images of two formats."""
    opt = CASES[case](tmp_path)
    opt['train']['precision'] = 'bf16'
    model = build_model(opt)
    train(model, opt, range(1, 3))
    assert all(torch.isfinite(torch.tensor(value)) for value in model.get_current_log().values())
