"""CUDA graphs of CPUs: what a recording computed, once more."""

import torch
from torch.utils._pytree import tree_leaves

from selfsr_plugin.engine.recording import Recordings


class Graphs:
    """Of CPUs: a replay computes into the tensors that recording returned, and changes nothing else."""

    def __init__(self, model):
        self.updater, self.recorded, self.replayed = model.updater, 0, 0
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
        for each, before in buffers:
            each.copy_(before)

        def replay():
            self.replayed += 1
            self.learning = learning
            before = [each.grad for each in self.parameters()]
            for old, new in zip(kept, self.tensors(function()), strict=True):
                old.detach().copy_(new)
            for each, gradient in zip(self.parameters(), before):
                each.grad = gradient

        return result, replay
