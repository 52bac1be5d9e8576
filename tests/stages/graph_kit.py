"""CUDA graphs of CPUs: what a recording computed, once more."""

import torch
from torch.utils._pytree import tree_leaves

from selfsr_plugin.engine.recording import Recordings


class Graphs:
    """Of CPUs: a replay computes into the tensors that recording returned, and over those of later recordings.

    These lie where it puts what it computes by the way: a recording's memory is free for the next but for its results.
    """

    def __init__(self, model):
        self.updater, self.recorded, self.replayed = model.updater, 0, 0
        self.results = []
        self.updater.recordings = Recordings(self.capture)
        self.updater._records = True

    def parameters(self):
        return [each for label in self.learning for each in self.updater.nets[label].parameters()]

    def tensors(self, losses):
        gradients = [each.grad for each in self.parameters() if each.grad is not None]
        return tree_leaves([losses.terms, losses.logged, losses.made]) + gradients

    def capture(self, function, _):
        self.recorded += 1
        self.learning = learning = self.updater._learning
        buffers = [(each, each.clone()) for net in self.updater.nets.values() for each in net.buffers()]
        result = function()
        kept = self.tensors(result)
        for each in kept:  # a graph that is recorded is not computed
            each.detach().fill_(torch.nan)
        self.results.append(kept)
        number = self.recorded
        for each, before in buffers:
            each.copy_(before)

        def replay():
            self.replayed += 1
            self.learning = learning
            for each in tree_leaves(self.results[number:]):
                each.detach().fill_(torch.nan)
            before = [each.grad for each in self.parameters()]
            for old, new in zip(kept, self.tensors(function()), strict=True):
                old.detach().copy_(new)
            for each, gradient in zip(self.parameters(), before):
                each.grad = gradient

        return result, replay
