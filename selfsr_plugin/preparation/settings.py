"""What decides what the crops look like. Imports nothing that takes time: a command line names these options."""

from dataclasses import dataclass

from ..errors import UserError

FRAMINGS = ('square', 'similarity', 'dic')
# Scores that the detector gives its faces at least.
PHOTO_THRESHOLD = 0.8
CROP_THRESHOLD = 0.5  # ours: of an image that is known to be a face, it need not be as certain as of a photo
LIMITS = {'margin': (-0.3, 2.0), 'shift_x': (-0.5, 0.5), 'shift_y': (-0.5, 0.5)}


@dataclass(frozen=True)
class Settings:
    """Everything that decides what the crops look like.

    Attributes:
        framing: 'square', 'similarity' or 'dic', see framing.py.
        margin: more around the face on each side, as a share of the square; less if negative.
        shift_x, shift_y: how far the square is moved right and down, as shares of the square without margin.
        size: side of the crops in pixels; None keeps the pixels of the photo. Faces are never enlarged: the square
            must have at least this side.
        min_face, max_face: the square must have a side within these, in pixels of the photo.
        threshold: faces that the detector is less certain of do not count.
        max_faces: the largest faces of a photo, at most so many; None takes all.
    """

    framing: str = 'square'
    margin: float = 0.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    size: int | None = None
    min_face: int = 16
    max_face: int | None = None
    threshold: float = PHOTO_THRESHOLD
    max_faces: int | None = None

    def check(self) -> None:
        """Raises: UserError: a value out of range, by the option's name."""
        if self.framing not in FRAMINGS:
            raise UserError(f"--framing: '{self.framing}' is not one of {', '.join(FRAMINGS)}.")
        if self.framing == 'dic' and (self.margin or self.shift_x or self.shift_y):
            raise UserError('--framing dic: it has its own margin; leave --margin and --shift-x, --shift-y out.')
        for name, (least, most) in LIMITS.items():
            if not least <= getattr(self, name) <= most:
                raise UserError(
                    f'--{name.replace("_", "-")}: {getattr(self, name)} is not a share from {least} to {most}.'
                )
        if not 0 < self.threshold < 1:
            raise UserError(f'--threshold: {self.threshold} is not between 0 and 1.')
        for name in ('size', 'min_face', 'max_face', 'max_faces'):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f'--{name.replace("_", "-")}: {value} is less than 1.')
        if self.max_face is not None and self.max_face < self.smallest:
            raise UserError(
                f'--max-face: {self.max_face} is less than the smallest face wanted, {self.smallest} '
                '(--min-face and --size).'
            )

    @property
    def smallest(self) -> int:
        """Side of the smallest face wanted, in pixels of the photo."""
        return max(self.min_face, self.size or 1)
