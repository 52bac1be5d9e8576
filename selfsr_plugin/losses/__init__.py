"""Loss terms that BasicSR lacks; the others (L1Loss, GANLoss) are BasicSR's own."""

from .flow_tv_loss import FlowTVLoss

__all__ = ['FlowTVLoss']
