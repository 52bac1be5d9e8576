"""Networks: tensors in, tensors out."""

from .cyclegan_generator_arch import CycleGANGenerator
from .domain_discriminator_arch import DomainDiscriminator
from .flow_degradation_arch import Degradation, FlowDegradationNet
from .progressive_discriminator_arch import ProgressiveDiscriminator
from .selfcond_sr_arch import SelfCondSRNet

__all__ = [
    'CycleGANGenerator',
    'Degradation',
    'DomainDiscriminator',
    'FlowDegradationNet',
    'ProgressiveDiscriminator',
    'SelfCondSRNet',
]
