"""What is counted, and that the table in the docs is what the networks are."""

import sys
from pathlib import Path

from torch import nn

from selfsr_plugin.baselines import archs
from selfsr_plugin.baselines.complexity import complexity

ROOT = Path(__file__).resolve().parents[2]


def test_known_layers():
    assert complexity(nn.Conv2d(3, 8, 3, padding=1), (1, 3, 10, 12)) == (3 * 8 * 9 + 8, 10 * 12 * 3 * 8 * 9)
    assert complexity(nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2, bias=False), (1, 4, 10, 12)) == (
        2 * 8 * 9,
        5 * 6 * 2 * 8 * 9,
    )
    assert complexity(nn.ConvTranspose2d(4, 8, 4, stride=2, padding=1, bias=False), (1, 4, 5, 6)) == (
        4 * 8 * 16,
        5 * 6 * 4 * 8 * 16,
    )
    assert complexity(nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.BatchNorm1d(7)), (1, 5)) == (5 * 7 + 7 + 14, 5 * 7)


def test_a_block_that_is_shared_works_as_often_as_it_is_applied():
    small = dict(num_feat=4, num_hourglass=1, depth=1, scale=2)
    shared, separate = (complexity(archs.FSRNet(share_blocks=share, **small), (1, 3, 8, 8)) for share in (True, False))
    assert shared.multiply_adds == separate.multiply_adds and shared.parameters < separate.parameters


def test_what_a_network_does_in_training_alone_is_not_counted():
    class Twice(nn.Conv2d):
        def forward(self, x):
            return super().forward(x) + super().forward(x) if self.training else super().forward(x)

    assert complexity(Twice(1, 1, 1), (1, 1, 2, 3)).multiply_adds == 6


def test_a_network_is_left_as_it_was_and_counted_at_its_level():
    net = archs.PFSRNet(num_feat=8, num_level=2)
    whole = complexity(net, (1, 3, 4, 4))
    net.grow_to(1)
    assert complexity(net, (1, 3, 4, 4)).multiply_adds < whole.multiply_adds
    assert net.training and all(parameter.device.type == 'cpu' for parameter in net.parameters())


def test_the_table_of_the_docs(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'scripts'))
    import baseline_table

    text = (ROOT / 'docs/baselines.md').read_text('utf-8').split('\n')
    missing = [line for line in baseline_table.lines() if line not in text]
    assert not missing, 'run python scripts/baseline_table.py'
    sys.modules.pop('baseline_table')
