"""Smoothness of a flow field as a BasicSR loss."""

from torch import Tensor, nn

from ..ops import flow_total_variation


class FlowTVLoss(nn.Module):
    """Smoothness loss of Eq. 4: ``loss_weight`` times the flow's total variation, the flow counted in pixels.

    Args:
        loss_weight: weight of the term in Eq. 5. The paper's is lost; the option files take 1 (ours).
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, flow: Tensor) -> Tensor:
        """(N, 2, H, W) in pixels -> scalar."""
        return self.loss_weight * flow_total_variation(flow)
