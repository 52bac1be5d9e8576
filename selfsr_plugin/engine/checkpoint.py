"""Checkpoints that are whole or absent, and loading that never runs code from a file."""
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Union

import torch


def save_checkpoint(content: Any, path: Union[str, Path]) -> None:
    """Write ``content`` with ``torch.save`` so that ``path`` holds either the old file or the whole new one.

    Written to a temporary file beside it, synced to the disk, renamed.

    Raises:
        OSError: naming ``path``, when it cannot be written; a file that was there before is untouched.
    """
    path = Path(path)
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f'.{path.name}.', delete=False) as file:
            temporary = file.name
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # temporary files are private, checkpoints are shared
        os.replace(temporary, path)
    except BaseException as error:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        if not isinstance(error, (OSError, RuntimeError)):  # torch reports a full disk as RuntimeError
            raise
        raise OSError(f'cannot write the checkpoint {path}: {error}. Checkpoints written before are unharmed; free '
                      'space or fix the permissions and resume with --auto_resume.') from error
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)  # makes the new name survive a power failure
    finally:
        os.close(directory)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def load_checkpoint(path: Union[str, Path]) -> Any:
    """Read a file of ``torch.save`` onto the CPU; tensors and plain containers only, no code.

    The checksums that ``torch.save`` writes are verified, which ``torch.load`` does not do: a flipped bit would become a
    wrong weight without a word.

    Raises:
        FileNotFoundError, ValueError: naming ``path``, when there is no such file or it is broken.
    """
    try:
        if zipfile.is_zipfile(path):  # the format of torch < 1.6 has no checksums
            with zipfile.ZipFile(path) as archive:
                broken = archive.testzip()
            if broken is not None:
                raise zipfile.BadZipFile(broken)
        return torch.load(path, map_location='cpu', weights_only=True)
    except FileNotFoundError:
        raise FileNotFoundError(f'there is no checkpoint {path}.') from None
    except Exception as error:  # torch raises many kinds, with long texts, for a truncated or foreign file
        raise ValueError(f'{path} cannot be read as a checkpoint: it is damaged, was not made by torch.save, or holds '
                         f'more than tensors and plain values ({type(error).__name__}).') from error
