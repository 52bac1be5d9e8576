"""How blurred an image is, without any other image to compare with; through scikit-image, as a BasicSR metric."""

import numpy as np

_WINDOW = 11  # pixels of the strong blur that the image is compared with, scikit-image's


def calculate_blur(img: np.ndarray, img2: np.ndarray | None = None, better: str = 'lower') -> float:
    """The perceptual blur metric of Crete et al. (SPIE 2007) of the luminance: 0 (sharp) to 1 (blurred).

    It asks how much of the differences between neighbouring pixels a strong blur takes away. That says nothing about
    whether the details are right, and noise counts as sharpness: it is for comparing methods on one set of faces of one
    size, beside metrics that know the person. (BasicSR's ``calculate_niqe`` needs 192x192 pixels or more to work.)

    Args:
        img: (H, W, 3) uint8, BGR.
        img2: the ground truth, which metrics are given where there is one; it is not looked at.
        better: which values are, for :func:`.direction.direction`.
    """
    import cv2
    from skimage.measure import blur_effect

    return float(blur_effect(cv2.cvtColor(img, cv2.COLOR_BGR2GRAY), h_size=_WINDOW))
