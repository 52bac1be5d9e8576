"""The paper's maths without parameters: plain functions, tensors in, tensors out."""
from .resize import bicubic_downsample, bicubic_matrix, bicubic_resize

__all__ = ['bicubic_downsample', 'bicubic_matrix', 'bicubic_resize']
