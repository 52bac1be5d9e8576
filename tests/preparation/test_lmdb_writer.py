import os
import random
import resource
import shutil
import signal
import time
import traceback

import lmdb
import numpy as np
import pytest
from basicsr.data.paired_image_dataset import PairedImageDataset
from basicsr.utils import FileClient, lmdb_util

from selfsr_plugin.data import close_environments, open_image_source
from selfsr_plugin.preparation import lmdb_writer
from selfsr_plugin.preparation.image_recode import Recipe
from selfsr_plugin.preparation.lmdb_writer import create_lmdb
from selfsr_plugin.errors import UserError


def make(folder, output, recipe=Recipe(), workers=2, recursive=False):
    return create_lmdb(open_image_source(str(folder), recursive), str(output), recipe, workers, progress=False)


def content(root):
    """Everything an LMDB says: keys with values, and meta_info.txt."""
    with lmdb.open(str(root), readonly=True, lock=False) as environment, environment.begin() as transaction:
        items = dict(transaction.cursor())
    with open(os.path.join(root, 'meta_info.txt'), 'rb') as file:
        return items, file.read()


def in_child(function):
    """Run ``function`` in a forked process, for it to be killed or limited. -> (its exit status, what it raised)."""
    receive, send = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            function()
            os._exit(0)
        except BaseException as error:  # noqa: B902, the child must never reach pytest
            os.write(send, f'{type(error).__name__}: {error}'.encode() or traceback.format_exc().encode())
            os._exit(1)
    os.close(send)
    with os.fdopen(receive, 'rb') as pipe:
        message = pipe.read().decode()
    return os.waitpid(pid, 0)[1], message


@pytest.fixture
def folder(files, tmp_path):
    return files.write_folder(tmp_path / 'in', {f'{i:03d}': files.make_image(i, 24) for i in range(40)})


@pytest.fixture
def commits(monkeypatch):
    """A commit after every image."""
    monkeypatch.setattr(lmdb_writer, 'COMMIT_SECONDS', 0)


# BasicSR


def test_equals_basicsrs_maker(folder, tmp_path):
    names = sorted(os.path.splitext(file)[0] for file in os.listdir(folder))
    lmdb_util.make_lmdb_from_imgs(
        folder, str(tmp_path / 'theirs.lmdb'), [f'{n}.png' for n in names], names, map_size=1 << 24
    )
    report = make(folder, tmp_path / 'ours.lmdb', Recipe(encode='png'))
    assert content(tmp_path / 'ours.lmdb') == content(tmp_path / 'theirs.lmdb')
    assert sorted(os.listdir(tmp_path / 'ours.lmdb')) == sorted(os.listdir(tmp_path / 'theirs.lmdb'))
    assert (report.written, report.refused, report.refused_list, report.beyond_basicsr) == (40, 0, None, 0)
    assert sorted(os.listdir(tmp_path)) == ['in', 'ours.lmdb', 'theirs.lmdb']


def test_basicsrs_data_set_reads_pairs(files, tmp_path):
    images = {f'{i:03d}': files.make_image(i, 32) for i in range(5)}
    gt = files.write_folder(tmp_path / 'gt', images, '.jpg')
    make(gt, tmp_path / 'gt.lmdb')
    make(gt, tmp_path / 'lq.lmdb', Recipe(size=8))
    opt = {
        'dataroot_gt': str(tmp_path / 'gt.lmdb'),
        'dataroot_lq': str(tmp_path / 'lq.lmdb'),
        'scale': 4,
        'phase': 'val',
        'io_backend': {'type': 'lmdb'},
    }
    theirs = PairedImageDataset(opt)
    gt_source = open_image_source(gt)
    got = [theirs[index] for index in range(len(theirs))]
    assert [item['gt_path'] for item in got] == sorted(images)
    for index, item in enumerate(got):
        np.testing.assert_array_equal(
            (item['gt'] * 255).round().flip(0).permute(1, 2, 0).numpy(), gt_source.read(index)
        )
        assert item['lq'].shape == (3, 8, 8)


def test_recursive_keys_are_basicsrs(files, tmp_path):
    for part in ('000', '001/deeper', '.hidden'):
        files.write_folder(tmp_path / 'in' / part, {'a': files.make_image(len(part)), 'b': files.make_image(1)})
    os.symlink('..', tmp_path / 'in' / '000' / 'up')  # must not turn round for ever
    make(tmp_path / 'in', tmp_path / 'x.lmdb', recursive=True)
    keys = ['000/a', '000/b', '001/deeper/a', '001/deeper/b']
    assert open_image_source(str(tmp_path / 'x.lmdb')).names == keys
    close_environments()  # lmdb opens it once in a process
    client = FileClient('lmdb', db_paths=[str(tmp_path / 'x.lmdb')], client_keys=['gt'])
    assert all(client.get(key, 'gt') == files.encode(files.make_image(1)) for key in keys[1::2])


def test_from_an_lmdb_of_basicsr(folder, tmp_path):
    names = sorted(os.path.splitext(file)[0] for file in os.listdir(folder))
    lmdb_util.make_lmdb_from_imgs(
        folder, str(tmp_path / 'theirs.lmdb'), [f'{n}.png' for n in names], names, map_size=1 << 24
    )
    make(tmp_path / 'theirs.lmdb', tmp_path / 'copy.lmdb')
    make(tmp_path / 'theirs.lmdb', tmp_path / 'small.lmdb', Recipe(size=8))
    close_environments()
    assert content(tmp_path / 'copy.lmdb') == content(tmp_path / 'theirs.lmdb')
    make(folder, tmp_path / 'small2.lmdb', Recipe(size=8))
    assert content(tmp_path / 'small.lmdb') == content(tmp_path / 'small2.lmdb')


# Stopped and gone on with


def size(path):
    try:
        return os.path.getsize(path)
    except FileNotFoundError:
        return 0


def test_killed_anywhere_and_gone_on_with(folder, tmp_path, commits, monkeypatch):
    with open(os.path.join(folder, '005.png'), 'wb'):
        pass
    make(folder, tmp_path / 'whole.lmdb')
    add = lmdb_writer._Unfinished.add
    monkeypatch.setattr(lmdb_writer._Unfinished, 'add', lambda *args: time.sleep(0.01) or add(*args))  # time to kill it
    output = tmp_path / 'killed.lmdb'
    journal = f'{output}.partial/journal.jsonl'
    kills, generator = 0, random.Random(0)
    while not output.exists():
        length = size(journal)
        pid = os.fork()
        if pid == 0:
            try:
                make(folder, output)
            finally:
                os._exit(0)
        # let it get on by at least one image on however slow a machine, then strike at a random moment
        while os.waitpid(pid, os.WNOHANG)[0] == 0:
            if size(journal) > length:
                time.sleep(generator.uniform(0, 0.06))
                os.kill(pid, signal.SIGKILL)
                kills += os.waitpid(pid, 0)[1] == signal.SIGKILL
                break
            time.sleep(0.001)
        else:
            assert output.exists()
        if not output.exists():
            with pytest.raises(FileNotFoundError, match='does not exist'):
                open_image_source(str(output))
            with pytest.raises(ValueError, match='no images in the folder'):
                open_image_source(f'{output}.partial')
    assert kills
    assert content(output) == content(tmp_path / 'whole.lmdb')
    assert open(f'{output}.refused.txt').read() == open(tmp_path / 'whole.lmdb.refused.txt').read()


@pytest.mark.parametrize('where, call', [('_put_batch', 3), ('_write_lines', 2), ('rename', 1), ('rmtree', 1)])
def test_killed_at_the_weakest_points(folder, tmp_path, commits, monkeypatch, where, call):
    """Between journal and LMDB; before meta_info.txt; before the LMDB gets its name; right after."""
    make(folder, tmp_path / 'whole.lmdb')
    output = tmp_path / 'killed.lmdb'
    calls = []

    def kill_or(function):
        def wrapped(*args, **kwargs):
            calls.append(1)
            if len(calls) == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return wrapped

    place = {'_put_batch': lmdb_writer._Unfinished, '_write_lines': lmdb_writer, 'rename': os, 'rmtree': shutil}[where]
    with monkeypatch.context() as patch:
        patch.setattr(place, where, kill_or(getattr(place, where)))
        status, _ = in_child(lambda: make(folder, output))
    assert status == signal.SIGKILL
    assert output.exists() == (where == 'rmtree')
    if where == 'rmtree':
        with pytest.raises(UserError, match='already exists and is whole: the run that made it was stopped'):
            make(folder, output)
    else:
        make(folder, output)
    assert content(output) == content(tmp_path / 'whole.lmdb')
    assert not os.path.exists(f'{output}.partial')


def stop_after(monkeypatch, count, error=KeyboardInterrupt):
    """Interrupt the next making when it takes image number ``count`` + 1."""
    add = lmdb_writer._Unfinished.add
    taken = []

    def stopping(self, entry):
        if len(taken) == count:
            raise error
        taken.append(entry)
        add(self, entry)

    return monkeypatch.setattr(lmdb_writer._Unfinished, 'add', stopping)


def stop_part_way(monkeypatch, folder, output, count=15):
    with monkeypatch.context() as patch:
        stop_after(patch, count)
        with pytest.raises(KeyboardInterrupt):
            make(folder, output)


def test_ctrl_c_keeps_what_was_done(folder, tmp_path, monkeypatch):
    make(folder, tmp_path / 'whole.lmdb')
    stop_part_way(monkeypatch, folder, tmp_path / 'x.lmdb')
    recoded, recode = [], lmdb_writer.recode
    monkeypatch.setattr(lmdb_writer, 'recode', lambda *args: recoded.append(args[1]) or recode(*args))
    make(folder, tmp_path / 'x.lmdb')
    assert sorted(recoded) == [f'{folder}/{i:03d}.png' for i in range(15, 40)]
    assert content(tmp_path / 'x.lmdb') == content(tmp_path / 'whole.lmdb')


def change(files, folder, what):
    path = os.path.join(folder, '007.png')
    if what == 'has changed':
        with open(path, 'ab') as file:
            file.write(b'more')
    elif what == 'is gone':
        os.unlink(path)
    else:
        shutil.copy(path, os.path.join(folder, '006b.png'))


@pytest.mark.parametrize('name, what', [('007', 'has changed'), ('007', 'is gone'), ('006b', 'has come in')])
def test_other_images_are_noticed(files, folder, tmp_path, monkeypatch, name, what):
    stop_part_way(monkeypatch, folder, tmp_path / 'x.lmdb')
    change(files, folder, what)
    with pytest.raises(UserError, match=f"'{name}' {what}: put it back .*or remove .*x.lmdb.partial to start anew"):
        make(folder, tmp_path / 'x.lmdb')
    shutil.rmtree(tmp_path / 'x.lmdb.partial')
    make(folder, tmp_path / 'x.lmdb')


def test_an_image_of_as_many_bytes_is_noticed_by_its_time(folder, tmp_path, monkeypatch):
    stop_part_way(monkeypatch, folder, tmp_path / 'x.lmdb')
    path = os.path.join(folder, '007.png')
    os.utime(path, ns=(0, os.stat(path).st_mtime_ns + 1))
    with pytest.raises(UserError, match="'007' has changed: put it back"):
        make(folder, tmp_path / 'x.lmdb')


def test_changes_to_what_is_still_to_come_do_not_matter(files, folder, tmp_path, monkeypatch):
    stop_part_way(monkeypatch, folder, tmp_path / 'x.lmdb')
    os.unlink(os.path.join(folder, '039.png'))
    files.write_folder(tmp_path / 'in', {'038': files.make_image(77), '500': files.make_image(500)})
    make(folder, tmp_path / 'x.lmdb')
    make(folder, tmp_path / 'whole.lmdb')
    assert content(tmp_path / 'x.lmdb') == content(tmp_path / 'whole.lmdb')


def test_other_options_are_noticed(folder, tmp_path, monkeypatch):
    stop_part_way(monkeypatch, folder, tmp_path / 'x.lmdb')
    with pytest.raises(UserError, match='begun with size None, not 8 and encode keep, not png: give the same options'):
        make(folder, tmp_path / 'x.lmdb', Recipe(size=8, encode='png'))


def test_what_was_written_down_and_not_stored_is_written_down_anew(folder, tmp_path, monkeypatch):
    """By a process that was killed in between: more lines than those of the next batch."""
    stop_part_way(monkeypatch, folder, tmp_path / 'x.lmdb')
    with open(tmp_path / 'x.lmdb.partial' / 'journal.jsonl', 'ab') as journal:
        journal.write(b'{"name": "999", "stamp": null, "refused": "of another life"}\n' * 1000)
    make(folder, tmp_path / 'x.lmdb')
    make(folder, tmp_path / 'whole.lmdb')
    assert content(tmp_path / 'x.lmdb') == content(tmp_path / 'whole.lmdb')
    assert not any('another life' in path.read_text() for path in tmp_path.glob('*.refused.txt'))


def test_a_damaged_beginning_is_refused(folder, tmp_path, monkeypatch):
    stop_part_way(monkeypatch, folder, tmp_path / 'x.lmdb')
    journal = tmp_path / 'x.lmdb.partial' / 'journal.jsonl'
    lines = journal.read_bytes()
    journal.write_bytes(lines[: len(lines) // 2])
    with pytest.raises(UserError, match='x.lmdb.partial is damaged .its journal ends before its images.: remove it'):
        make(folder, tmp_path / 'x.lmdb')
    (tmp_path / 'x.lmdb.partial' / 'lmdb' / 'data.mdb').write_bytes(bytes(9000))
    with pytest.raises(UserError, match='x.lmdb.partial is damaged .*: remove it'):
        make(folder, tmp_path / 'x.lmdb')


def test_a_full_disk_loses_nothing(folder, tmp_path, commits):
    make(folder, tmp_path / 'whole.lmdb')

    def limited():  # a file may not grow beyond this: what a full disk does, without filling one
        resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
        make(folder, tmp_path / 'x.lmdb')

    for _ in range(2):
        status, message = in_child(limited)
        assert status and 'x.lmdb.partial cannot be written any further (' in message
        safe = int(message.split('its first ')[1].split()[0])
        assert 0 < safe < 40 and 'make room on its disk and run the same again' in message
    assert not (tmp_path / 'x.lmdb').exists()
    make(folder, tmp_path / 'x.lmdb')
    assert content(tmp_path / 'x.lmdb') == content(tmp_path / 'whole.lmdb')


# Size


def test_the_map_grows(tmp_path, files, folder, monkeypatch):
    make(folder, tmp_path / 'whole.lmdb')
    monkeypatch.setattr(lmdb_writer, 'FIRST_MAP_SIZE', 1 << 15)
    make(folder, tmp_path / 'x.lmdb')
    assert content(tmp_path / 'x.lmdb') == content(tmp_path / 'whole.lmdb')
    assert os.path.getsize(tmp_path / 'x.lmdb' / 'data.mdb') > 1 << 15


def test_few_images_are_held_at_once(folder, tmp_path, monkeypatch):
    begun, held, sizes = [], [], []
    recode, add, put = lmdb_writer.recode, lmdb_writer._Unfinished.add, lmdb_writer._Unfinished._put_batch

    def slow_add(self, entry):
        time.sleep(0.002)
        held.append(len(begun) - len(held))
        add(self, entry)

    monkeypatch.setattr(lmdb_writer, 'COMMIT_BYTES', 4000)
    monkeypatch.setattr(lmdb_writer, 'COMMIT_SECONDS', 1000)
    monkeypatch.setattr(lmdb_writer, 'recode', lambda *args: begun.append(1) or recode(*args))
    monkeypatch.setattr(lmdb_writer._Unfinished, 'add', slow_add)
    monkeypatch.setattr(
        lmdb_writer._Unfinished, '_put_batch', lambda self: sizes.append(self._batch_bytes) or put(self)
    )
    make(folder, tmp_path / 'x.lmdb', workers=1)
    assert max(held) <= 3 * lmdb_writer.CHUNK
    largest = max(os.path.getsize(os.path.join(folder, file)) for file in os.listdir(folder))
    assert len(sizes) > 3 and max(sizes) < 4000 + largest


def test_the_number_of_workers_changes_nothing(folder, tmp_path):
    for workers in (1, 5):
        make(folder, tmp_path / f'{workers}.lmdb', Recipe(size=20), workers)
    assert content(tmp_path / '1.lmdb') == content(tmp_path / '5.lmdb')
