"""The error that ends a run with one sentence instead of a traceback, and the place where it does.

Imports nothing that takes time: commands answer usage errors before torch is loaded.
"""

import contextlib
import errno
import io
import os
import pickle
import signal
import sys
from collections.abc import Iterator
from typing import Any


class UserError(ValueError):
    """Something the user gave cannot be used; the message names the file or key and the remedy."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, inside of :func:`terminated_as_interrupted`."""


@contextlib.contextmanager
def terminated_as_interrupted(*others: signal.Signals) -> Iterator[None]:
    """SIGTERM raises, as Ctrl-C does, so that what is open is closed and what a run would leave is removed.

    Args:
        others: further signals that do, unless they are ignored, as nohup has SIGHUP.
    """

    def raise_it(*_: Any) -> None:
        raise Terminated

    mine = [signal.SIGTERM, *(each for each in others if signal.getsignal(each) != signal.SIG_IGN)]
    before = {each: signal.signal(each, raise_it) for each in mine}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


_INTERRUPTED = 'interrupted; what was saved before is unharmed.'


@contextlib.contextmanager
def one_sentence_errors(traceback: bool = False) -> Iterator[None]:
    """End the process with status 1 and the message of what was wrong; with ``traceback``, show where it came from.

    That is every UserError, every error of the file system, Ctrl-C (status 130), SIGTERM where it raises (143), lack of
    memory, and what is raised here because another process of the run has ended.

    Names that the terminal's or the pipe's encoding does not hold are printed with escapes, as Python prints errors.
    """
    _open_standard_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors='backslashreplace')
    status, message = 1, ''
    try:
        yield
    except (UserError, OSError) as error:
        if traceback:
            raise
        message = _with_remedy(error)
    except UnicodeEncodeError as error:
        if traceback:
            raise
        message = (
            f"{error.object!r} holds letters that the encoding of this system's file names ({error.encoding}) has not: "
            'set PYTHONUTF8=1, or name it otherwise.'
        )
    except KeyboardInterrupt as error:
        status = 143 if isinstance(error, Terminated) else 130
        message = str(error) or _INTERRUPTED  # where the command knows more
    except (RuntimeError, MemoryError) as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # Python 3.11 wraps one that comes while a class is made
            status, message = 130, _INTERRUPTED
        elif traceback or not (is_out_of_memory(error) or lost_a_process(error)):
            raise
        elif is_out_of_memory(error):
            message = (
                f'there is not enough memory ({why_not_loaded(error)}): give smaller sizes or images, or free some.'
            )
        else:
            message = 'another process of this run has ended; its own message says why.'
    finally:
        if message:
            rank = os.environ.get('RANK', '0')
            print(
                f'error: {message}' if rank == '0' else f'error (process {rank}): {message}',
                file=sys.stderr,
                flush=True,
            )
        distributed = _torch_distributed()
        if distributed is not None and distributed.is_initialized():
            distributed.destroy_process_group()
    if message:
        sys.exit(status)


REMEDIES = {
    errno.ENOSPC: 'make room on its disk',
    errno.EDQUOT: 'make room in the quota',
    errno.EFBIG: 'raise the limit on the size of files (ulimit -f), or name another disk',
    errno.EBUSY: 'let the other process finish',
    errno.ENAMETOOLONG: 'its name is too long, shorten it',
    errno.ENOENT: 'make its folder',
    errno.ENOTDIR: 'a part of this path is a file, give another',
    errno.EEXIST: 'a part of this path is a file, give another',
    errno.EISDIR: 'it is a folder, give a file name',
}  # what to do about a file that cannot be written


def _open_standard_streams() -> None:
    """Of a process that was started without (``2>&-``): what is printed goes nowhere, and no file takes their place."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(descriptor)
    for name in ('stdout', 'stderr'):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, 'w'))


def _with_remedy(error: Exception) -> str:
    """A full disk is found wherever something is written, and so may be a file in place of a folder."""
    if not isinstance(error, OSError) or error.errno is None:
        return str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f'{os.fspath(error.filename)!r} cannot be written' if error.filename else 'the output cannot be written'
        return f'{where} ({error.strerror}): make room on its disk.'
    if not error.filename:
        ended = 'what was to read the lines printed here has ended; the work up to there is done.'
        return ended if isinstance(error, BrokenPipeError) else str(error)
    missing = error.errno == errno.ENOENT  # to read as well as to write
    remedy = 'correct the path' if missing else REMEDIES.get(error.errno, 'correct its permissions, or give another')
    return f'{os.fspath(error.filename)!r} cannot be used ({error.strerror}): {remedy}.'


def why_not_loaded(error: Exception) -> str:
    """What torch says of a file of weights that it cannot load, in few words: it advises to run what the file holds."""
    if isinstance(error, pickle.UnpicklingError):
        return 'it is no file of weights'
    if 'loading state_dict' in str(error):
        return 'it holds the weights of another network'
    return next(iter(str(error).splitlines()), '') or type(error).__name__


def lost_a_process(error: RuntimeError) -> bool:
    """Whether a collective operation failed because a peer is gone."""
    distributed = _torch_distributed()
    return distributed is not None and (
        isinstance(error, distributed.DistError) or distributed.is_initialized() and 'gloo' in str(error).lower()
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory could not be had, by Python, NumPy, torch on the CPU or a GPU, oneDNN or OpenCV."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == 'OutOfMemoryError'
        or isinstance(error, Exception)
        and any(
            text in str(error)
            for text in (
                "can't allocate memory",
                'not enough memory',
                'Insufficient memory',
                'could not create a memory object',
                'bad_alloc',
                'out of memory',
            )
        )
    )


def _torch_distributed() -> Any:
    """torch.distributed, if this process has loaded it and it can be used."""
    torch = sys.modules.get('torch')
    return torch.distributed if torch is not None and torch.distributed.is_available() else None
