"""What a network needs is counted without computing anything; what there is, is what the smallest limit leaves."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from common_kit import small_network
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent / 'stages'))  # the models' kit
from model_kit import cyclegan_options, stage1_options, stage2_options, start  # noqa: E402

from selfsr_plugin import memory
from selfsr_plugin.archs import SelfCondSRNet
from selfsr_plugin.errors import UserError, is_out_of_memory


def test_tensors_that_are_alive_at_one_time_are_counted():
    class Chain(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer('one', torch.ones(1), persistent=False)

        def forward(self, x):
            x *= self.one
            y = torch.cat((x, x))  # x and y: 3 images
            y = y[:, :1].contiguous()  # x, y and a third of y
            return y.expand(2, 3, 4, 4).contiguous()  # a view costs nothing

    image = 3 * 4 * 4 * 4
    assert memory.forward_bytes(Chain(), (1, 3, 4, 4)) == image * (1 + 2) + image * 2 // 3


def test_the_most_counts_wherever_it_comes():
    net = nn.Sequential(nn.Upsample(scale_factor=4), nn.AvgPool2d(4), nn.ReLU())
    image = 3 * 4 * 4 * 4
    assert memory.forward_bytes(net, (1, 3, 4, 4)) == image * (1 + 16 + 1)  # while the average is taken


def test_it_grows_with_the_pixels_and_leaves_the_network_alone():
    net = small_network(SelfCondSRNet, widths=[8, 4], num_block=1)
    small, large = (memory.forward_bytes(net, (1, 3, side, side)) for side in (16, 64))
    assert large == pytest.approx(16 * small, rel=0.01)
    assert memory.forward_bytes(net, (4, 3, 16, 16)) == pytest.approx(large / 4, rel=0.01)
    assert all(parameter.device.type == 'cpu' for parameter in net.parameters())


def test_what_is_refused_by_leaves_room_for_what_is_no_tensor():
    """A process was seen to take up to 1.18 times what its tensors do."""
    net = small_network(SelfCondSRNet, widths=[8, 4], num_block=1)
    counted = memory.forward_bytes(net, (2, 3, 48, 40))
    assert 1.18 * counted < 2 * 48 * 40 * memory.bytes_per_pixel(net) < 1.4 * counted


def test_a_network_that_keeps_a_tensor_of_its_device_still_runs():
    class Keeps(nn.Module):  # as BasicSR's RCAN
        def __init__(self):
            super().__init__()
            self.conv, self.mean = nn.Conv2d(3, 3, 1), torch.zeros(1, 3, 1, 1)

        def forward(self, x):
            self.mean = self.mean.type_as(x)
            return self.conv(x - self.mean)

    net = Keeps()
    assert memory.forward_bytes(net, (1, 3, 4, 4)) > 0
    assert net(torch.zeros(1, 3, 4, 4)).shape == (1, 3, 4, 4)


def test_images_that_need_more_than_there_is_are_refused(monkeypatch):
    net, asked = small_network(SelfCondSRNet, widths=[8, 4], num_block=1), []
    needed = memory.bytes_per_pixel(net) * 100 * 80
    monkeypatch.setattr(memory, 'available_bytes', lambda device: asked.append(device) or int(needed * 1.1))
    memory.refuse_too_large(net, torch.zeros(1, 3, 16, 16))
    assert asked == []
    memory.refuse_too_large(net, torch.zeros(1, 3, 100, 80))
    for shape in ((1, 3, 120, 80), (2, 3, 100, 80)):
        with pytest.raises(
            UserError, match=r'^it needs about [\d.]+ GB of memory, and [\d.]+ GB are free: cut the face'
        ):
            memory.refuse_too_large(net, torch.zeros(shape))

    class Reads(nn.Module):
        def forward(self, x):
            return x if x.mean().item() > 0 else -x  # the counting tensors have no values

    memory.refuse_too_large(Reads(), torch.zeros(1, 3, 1000, 1000))


@pytest.mark.parametrize('options', [stage1_options, cyclegan_options, stage2_options])
def test_every_stage_refuses_to_validate_an_image_beyond_the_memory(tmp_path, monkeypatch, options):
    model = start(options(tmp_path))
    data = dict(gt=torch.zeros(1, 3, 400, 400), lq=torch.zeros(1, 3, 100, 100))
    monkeypatch.setattr(memory, 'available_bytes', lambda device: 1)
    with pytest.raises(UserError, match='it needs about .* GB of memory, and 0.0 GB are free'):
        model.evaluate(data)


@pytest.mark.parametrize(
    'error',
    [
        MemoryError(),
        torch.OutOfMemoryError('CUDA: no more'),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError('DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes'),
        ValueError('OpenCV(5.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 8 bytes'),
        RuntimeError('could not create a memory object'),
        RuntimeError('std::bad_alloc'),
        RuntimeError('CUDA error: out of memory'),
    ],
    ids=lambda error: str(error)[-30:],
)
def test_what_libraries_say_of_memory_that_lacks(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize('error', [RuntimeError('mat1 and mat2 cannot be multiplied'), KeyboardInterrupt()])
def test_and_what_is_no_lack_of_it(error):
    assert not is_out_of_memory(error)


def test_the_limit_of_the_process_counts():
    code = (
        'import resource, torch; from selfsr_plugin.memory import available_bytes, _of_process;'
        "size = [line for line in open('/proc/self/status') if line.startswith('VmSize')][0].split()[1];"
        'limit = int(size) * 1024 + 300 * 2**20; resource.setrlimit(resource.RLIMIT_AS, (limit, limit));'
        "print(available_bytes(torch.device('cpu')))"
    )
    done = subprocess.run([sys.executable, '-c', code], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert 200 * 2**20 < int(done.stdout) <= 300 * 2**20


def test_limits_of_control_groups(tmp_path, monkeypatch):
    texts = {
        '/proc/self/cgroup': '0::/job/step',
        '/sys/fs/cgroup/job/step/memory.max': 'max',
        '/sys/fs/cgroup/job/step/memory.current': '10',
        '/sys/fs/cgroup/job/memory.max': '1000',
        '/sys/fs/cgroup/job/memory.current': '400',
        '/sys/fs/cgroup/job/memory.stat': 'anon 300\ninactive_file 50',
    }
    monkeypatch.setattr(memory, '_lines', lambda path: texts.get(str(path), '').splitlines())
    assert memory._of_groups() == [650]
    texts = {
        '/proc/self/cgroup': '4:memory:/a\n3:cpu:/b',
        '/sys/fs/cgroup/memory/a/memory.limit_in_bytes': '900',
        '/sys/fs/cgroup/memory/a/memory.usage_in_bytes': '100',
    }
    assert memory._of_groups() == [800]
