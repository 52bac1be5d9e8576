"""The paper's maths without parameters, and images as arrays: plain functions."""

from .images import to_image, to_tensor
from .input_gradient import input_gradient
from .resize import bicubic_downsample, bicubic_matrix, bicubic_resize, resize_array, to_uint8
from .schedule import Growth, GrowthSchedule, log2_of_scale
from .warp import flow_total_variation, flow_warp

__all__ = [
    'Growth',
    'GrowthSchedule',
    'bicubic_downsample',
    'bicubic_matrix',
    'bicubic_resize',
    'flow_total_variation',
    'flow_warp',
    'input_gradient',
    'log2_of_scale',
    'resize_array',
    'to_image',
    'to_tensor',
    'to_uint8',
]
