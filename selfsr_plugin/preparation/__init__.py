"""From photographs to face crops: detection or annotations, framing, manifest."""
from .faces import LANDMARKS, Face, Refused
from .manifest import MANIFEST_FILE, REFUSED_FILE, Manifest
from .runner import FRAMINGS, PhotoCutter, Settings, prepare

__all__ = [
    'FRAMINGS', 'Face', 'LANDMARKS', 'MANIFEST_FILE', 'Manifest', 'PhotoCutter', 'REFUSED_FILE', 'Refused', 'Settings',
    'prepare'
]
