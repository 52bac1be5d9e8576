"""Log and curves on a disk that takes no more: said once, and the run goes on."""

import contextlib
import errno
import logging
import os
import time

import pytest
from basicsr.utils import get_root_logger
from run_kit import options, refused, start, workplace  # noqa: F401

from selfsr_plugin.run.writers import start_tensorboard


class Full:
    """What is written raises, as on a full disk, once ``is_full`` is set."""

    def __init__(self, original):
        self.original, self.is_full = original, False

    def __get__(self, instance, owner):
        return lambda *arguments: self(instance, *arguments)

    def __call__(self, *arguments):
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.original(*arguments)


def test_curves_stop_and_the_run_goes_on(tmp_path, monkeypatch, capfd):
    from tensorboard.summary.writer.record_writer import RecordWriter

    flush = Full(RecordWriter.flush)
    monkeypatch.setattr(RecordWriter, 'flush', flush)
    said, listener = [], logging.Handler()  # caplog hears a logger twice that propagates since this test alone
    listener.emit = lambda record: said.append(record.getMessage())
    monkeypatch.setattr(get_root_logger(), 'handlers', [listener])
    opt = dict(logger=dict(use_tb_logger=True), rank=0, name='run', root_path=str(tmp_path))
    with contextlib.ExitStack() as at_end:
        writer = start_tensorboard(opt, False, at_end)
        writer.add_scalar('a', 1.0, 1)
        thread = writer._writer.file_writer.event_writer._async_writer._worker
        flush.is_full, thread._next_flush_time = True, 0  # by itself it flushes every two minutes
        end = time.monotonic() + 60
        while not said and time.monotonic() < end:
            writer.add_scalar('a', 1.0, 2)
            time.sleep(0.01)
        writer.add_scalar('a', 1.0, 3)
    assert said == [
        f'{tmp_path}/tb_logger/run cannot be written (No space left on device): make room on its disk. '
        'The run goes on without TensorBoard.'
    ]
    assert 'Traceback' not in capfd.readouterr().err


def test_a_log_that_cannot_be_written_is_said_once(workplace, monkeypatch, capsys):  # noqa: F811
    flush = Full(logging.FileHandler.flush)
    flush.is_full = True
    monkeypatch.setattr(logging.FileHandler, 'flush', flush)
    monkeypatch.setattr(logging.FileHandler, 'close', lambda self: None)
    start(options())
    said = capsys.readouterr()
    assert 'Logging error' not in said.err and 'End of training' in said.err + said.out
    assert said.err.count('.log cannot be written (No space left on device): make room on its disk.') == 1


@pytest.mark.parametrize('named', [None, 'experiments/tiny/copy.yml'])
def test_a_folder_that_cannot_be_filled_is_named(workplace, monkeypatch, capsys, named):  # noqa: F811
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), named)

    monkeypatch.setattr('selfsr_plugin.run.training.copy_option_file', full)
    message = refused(capsys, options())
    assert (named or 'experiments/tiny') + ' cannot be written (No space left on device): make room' in message
