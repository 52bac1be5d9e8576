"""Which faces of a photo are restored, at which size, and what comes back."""

import inspect
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from common_kit import small_network

from selfsr_plugin import PhotoRestorer, restore
from selfsr_plugin.errors import UserError
from selfsr_plugin.ops import bicubic_resize, to_image
from selfsr_plugin.photo_restoration import finding, restorer
from selfsr_plugin.photo_restoration.background import bicubic
from selfsr_plugin.preparation.detection import FaceDetector


def test_a_network_that_enlarges_gives_the_photo_back(kit):
    """Enlarged by 4 and reduced by 4 again, nothing of smooth painting is lost but rounding."""
    photo = kit.photo()
    faces = [kit.face(20, 20, 24), kit.face(60, 30, 41), kit.face(120, 70, 12), kit.face(180, 100, 40)]
    result = kit.restorer(*faces)(photo)
    assert len(result.restored) == 4
    assert np.abs(result.image.astype(int) - photo).max() <= 3
    assert np.abs(result.image.astype(int) - photo).mean() < 0.1


@pytest.mark.parametrize('upscale', [2, 4])
def test_and_enlarged_it_is_the_enlarged_photo(kit, upscale):
    photo = kit.photo()
    result = kit.restorer(kit.face(20, 20, 24), kit.face(80, 70, 32), upscale=upscale)(photo)
    wanted = bicubic(photo, upscale)
    assert result.image.shape == wanted.shape == (150 * upscale, 200 * upscale, 3)
    assert np.abs(result.image.astype(int) - wanted).max() <= 3


def test_the_seam_is_no_sharper_than_the_face(kit):
    """The gradient from the photo into a face that is all edges."""
    photo = np.full((120, 120, 3), 128, np.uint8)
    result = kit.restorer(kit.face(30, 30, 60), net=kit.Checks())(photo)
    (face,) = result.restored
    left, right = face.frame.left, face.frame.left + face.frame.side
    rows = result.image[face.frame.top + 20 : face.frame.top + 40, :, 0].astype(int)
    steps = np.abs(np.diff(rows, axis=1)).max(0)
    assert max(steps[left - 1], steps[right - 1]) <= steps[left + 10 : right - 10].max()
    outside = np.ones((120, 120), bool)
    outside[face.frame.top : face.frame.top + face.frame.side, left:right] = False
    assert (result.image[outside] == 128).all()


def test_sizes(kit):
    net = kit.Enlarge()
    sides = [9, 12, 16, 17, 20, 33, 34, 49, 64, 65, 90]
    faces = [kit.face(100, 100, side, 0.99 - 0.01 * number) for number, side in enumerate(sides)]
    result = kit.restorer(*faces, net=net)(kit.photo(300, 300), keep_faces=True)
    # at the photo's own pixels or a little wider, never smaller; smaller ones than the network knows are enlarged
    assert [face.lq_size for face in result.faces] == [16, 16, 16, 18, 20, 34, 34, 52, 64, 0, 0]
    assert [face.frame.side for face in result.faces] == [9, 12, 16, 18, 20, 34, 34, 52, 64, 65, 90]
    for side, face in zip(sides, result.faces):  # grown on both sides alike
        assert 0 <= (100 - face.frame.left) - (face.frame.side - side) // 2 <= 1 >= 100 - face.frame.top
    assert {face.reason for face in result.left_alone} == {
        'larger than the 64 pixels up to which the network restores faces'
    }
    assert sorted(net.shapes) == [(1, 18), (1, 20), (1, 52), (1, 64), (2, 34), (3, 16)]
    for face in result.restored:
        assert face.lq.shape == (face.lq_size, face.lq_size, 3) and face.lq.dtype == np.uint8
        assert face.restored.shape == (4 * face.lq_size, 4 * face.lq_size, 3)
    assert all(face.lq is None for face in result.left_alone)


def test_defaults_are_those_of_the_command():
    args = restore.parse(['--input', 'photo.jpg', '--output', 'restored'])
    wanted = dict(upscale=1, threshold=0.8, batch=16, only_center_face=False, lq_size=None)
    assert {name: getattr(args, name) for name in wanted} == wanted
    parameters = inspect.signature(PhotoRestorer).parameters
    assert {name: parameters[name].default for name in wanted} == wanted


def test_small_faces_that_a_network_knows_keep_every_pixel_up_to_16(kit):
    faces = [kit.face(100, 100, side, 0.99 - 0.01 * side) for side in (12, 13, 14, 15, 16, 17)]
    result = kit.restorer(*faces, lq_size=(12, 24))(kit.photo(300, 300))
    assert [face.lq_size for face in result.faces] == [12, 13, 14, 15, 16, 18]


def test_sizes_that_a_network_knows(kit):
    faces = [kit.face(100, 100, side, 0.99 - 0.01 * side / 200) for side in (10, 11, 14, 40, 100, 130)]
    result = kit.restorer(*faces, lq_size=(12, 32))(kit.photo(300, 300))
    assert [face.lq_size for face in result.faces] == [12, 12, 14, 40, 100, 0]
    faces = [kit.face(20, 20, side, 0.99 - 0.01 * side / 200) for side in (127, 129, 137, 151)]
    result = kit.restorer(*faces, lq_size=(12, 64))(kit.photo(200, 200))
    assert [face.lq_size for face in result.faces] == [128, 136, 144, 152]


def test_sizes_of_the_network_that_comes_with_the_package_and_of_others(kit):
    shipped = PhotoRestorer(detect=kit.detector(), device='cpu')
    assert (shipped.smallest, shipped.limit) == (12, 24 * shipped.net.scale)
    other = kit.restorer()
    assert (other.smallest, other.limit) == (16, 16 * other.net.scale)


def test_colours_that_a_network_shifts_are_those_of_the_photo(kit):
    class Tinted(kit.Enlarge):
        def forward(self, lq):
            return (super().forward(lq) + torch.tensor([0.2, -0.1, 0.0])[:, None, None].to(lq.device)).clamp(0, 1)

    photo = np.full((100, 100, 3), (90, 128, 140), np.uint8)
    result = kit.restorer(kit.face(20, 20, 40), net=Tinted())(photo)
    assert len(result.restored) == 1 and np.abs(result.image.astype(int) - photo).max() <= 1


def test_faces_that_are_kept_are_the_pixels_that_went_in_and_what_came_out(kit):
    photo = kit.photo()
    (face,) = kit.restorer(kit.face(30, 40, 20))(photo, keep_faces=True).faces
    assert np.array_equal(face.lq, photo[40:60, 30:50])
    outputs = torch.rand(2, 3, 7, 7, generator=torch.Generator().manual_seed(0))
    found = restorer._to_images(outputs)
    assert all(np.array_equal(image, to_image(output)) for image, output in zip(found, outputs, strict=True))


@pytest.mark.parametrize('upscale, limit', [(1, 64), (2, 32), (3, 32), (4, 32), (5, 32)])
def test_a_face_in_an_enlarged_photo_is_at_most_twice_as_large_as_the_network_knows(kit, upscale, limit):
    faces = [kit.face(100, 100, side, 0.99 - 0.001 * side) for side in (limit, limit + 1)]
    result = kit.restorer(*faces, upscale=upscale)(kit.photo())
    assert [face.lq_size for face in result.faces] == [limit, 0]


def test_what_the_network_makes_counts_less_the_larger_a_face_is(kit):
    """In the photo, and in what is shown of a face; up to the size that the network knows it counts in full."""
    photo, sides = np.full((150, 200, 3), 128, np.uint8), [12, 16, 20, 32]
    for side, share in zip(sides, [1, 1, 0.8, 0.5]):
        result = kit.restorer(kit.face(50, 50, side), net=kit.Checks(), upscale=4)(photo, keep_faces=True)
        (face,) = result.faces
        inside = slice(4 * (50 + side // 4), 4 * (50 + side // 2))
        assert face.share == share
        for image in (result.image[inside, inside], face.restored[side : side * 2, side : side * 2]):
            assert np.abs(image.astype(int) - 128).max() == pytest.approx(127.5 * share, abs=2)
    faces = [kit.face(20, 20, 64), kit.face(20, 20, 65, 0.9)]
    assert [face.share for face in kit.restorer(*faces)(photo).faces] == [0.25, 0]


def test_batches(kit, monkeypatch):
    faces = [kit.face(10 * number, 50, 16) for number in range(7)]
    net = kit.Enlarge()
    told = []
    result = kit.restorer(*faces, net=net, batch=3)(kit.photo(), on_batch=lambda *counts: told.append(counts))
    assert len(result.restored) == 7 and told == [(3, 7), (6, 7), (7, 7)]
    assert net.shapes == [(3, 16), (3, 16), (1, 16)]
    one = kit.restorer(*faces, net=net)
    net.shapes.clear()
    monkeypatch.setattr(restorer, 'available_bytes', lambda device: 2.5 * 256 * one._per_pixel)
    one(kit.photo())
    assert net.shapes == [(2, 16), (2, 16), (2, 16), (1, 16)]


def test_a_face_that_the_memory_does_not_hold_is_left_alone(kit):
    class Greedy(kit.Enlarge):
        def forward(self, lq):
            if lq.device.type != 'meta' and lq.shape[-1] > 30:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
            return super().forward(lq)

    photo = kit.photo()
    result = kit.restorer(kit.face(20, 20, 40), kit.face(100, 20, 20), net=Greedy())(photo)
    assert [face.reason for face in result.faces] == ['too large for the memory', '']


def test_only_the_face_in_the_middle(kit):
    faces = [kit.face(85, 5, 30, 0.99), kit.face(80, 60, 30, 0.9), kit.face(160, 58, 30, 0.95)]
    result = kit.restorer(*faces, only_center_face=True)(kit.photo())
    assert sorted((face.face.score, bool(face.lq_size)) for face in result.faces) == [
        (0.9, True),
        (0.95, False),
        (0.99, False),
    ]


def test_faces_of_which_the_detector_is_not_certain_are_none(kit):
    result = kit.restorer(kit.face(20, 20, 30, 0.81), kit.face(80, 60, 30, 0.79))(kit.photo())
    assert [face.face.score for face in result.faces] == [0.81]


def test_faces_are_pasted_as_images(kit, monkeypatch):
    """Reducing a face of sharp edges overshoots."""

    class Halves(kit.Enlarge):
        def forward(self, lq):
            image = super().forward(lq)
            image[..., : image.shape[-1] // 2], image[..., image.shape[-1] // 2 :] = 0, 1
            return image

    pasted = []
    monkeypatch.setattr(restorer, 'keep_colours', lambda faces, lqs: faces)
    monkeypatch.setattr(restorer, 'paste', lambda target, face, *_: pasted.append(face))
    kit.restorer(kit.face(20, 20, 30), net=Halves())(kit.photo())
    assert pasted[0].min() == 0 and pasted[0].max() == 1


def test_a_photo_without_faces_is_the_same(kit):
    photo = kit.photo()
    result = kit.restorer()(photo)
    assert np.array_equal(result.image, photo) and result.faces == []
    assert np.array_equal(kit.restorer(upscale=2)(photo).image, bicubic(photo, 2))


@pytest.mark.parametrize(
    'photo, got',
    [
        (None, 'not None'),  # what cv2.imread gives of a file that is not there
        (np.zeros((40, 40), np.uint8), r'not uint8 of shape \(40, 40\)'),
        (np.zeros((40, 40, 4), np.uint8), r'not uint8 of shape \(40, 40, 4\)'),
        (np.zeros((40, 40, 3), np.float32), r'not float32 of shape'),
        (np.zeros((0, 40, 3), np.uint8), r'not uint8 of shape'),
        (torch.zeros(40, 40, 3, dtype=torch.uint8), r'not torch.uint8 of shape'),
    ],
)
def test_what_is_no_photo_is_refused(kit, photo, got):
    with pytest.raises(UserError, match=r'an array \(H, W, 3\) of uint8, BGR, .*' + got):
        kit.restorer(kit.face(20, 20, 24))(photo)


def test_the_photo_given_is_not_changed(kit):
    photo = kit.photo()
    before = photo.copy()
    assert not np.array_equal(kit.restorer(kit.face(50, 50, 40), net=kit.Checks())(photo).image, before)
    assert np.array_equal(photo, before)


def test_every_face_is_cut_from_the_photo_as_it_was(kit):
    """Two faces whose squares overlap: the network sees neither restored."""
    seen = []

    class Remember(kit.Checks):
        def forward(self, lq):
            seen.extend(lq)
            return super().forward(lq)

    photo = kit.photo()
    one = kit.restorer(kit.face(50, 50, 20), kit.face(60, 55, 30), net=Remember())
    seen.clear()
    faces = one(photo).restored
    for face, lq in zip(sorted(faces, key=lambda face: face.lq_size), seen):
        assert np.array_equal((lq * 255).round().byte().flip(0).permute(1, 2, 0), face.frame.cut(photo))


def test_a_small_face_before_a_large_one_is_seen_whole(kit):
    """The network makes stripes of the small face and leaves the large one grey."""

    class SmallOnly(kit.Enlarge):
        def forward(self, lq):
            image = super().forward(lq)
            stripes = (torch.arange(image.shape[-1]) // 8 % 2).float()
            return stripes.expand_as(image) if lq.shape[-1] <= 20 else image

    photo = np.full((120, 120, 3), 128, np.uint8)
    faces = [kit.face(30, 30, 60), kit.face(50, 50, 20)]
    for order in (faces, faces[::-1]):
        image = kit.restorer(*order, net=SmallOnly(), lq_size=(16, 60))(photo).image  # 60: all of it is pasted
        assert np.ptp(image[55:65, 55:65].astype(int)) > 20 and np.ptp(image[80:88, 35:85].astype(int)) < 3


def test_the_background_is_enlarged_as_the_faces_are(kit):
    photo = np.random.default_rng(0).integers(80, 170, (30, 40, 3), dtype=np.uint8)  # nothing is clamped on the way
    wanted = bicubic_resize(torch.from_numpy(photo).permute(2, 0, 1).float(), (60, 80)).clamp(0, 255)
    assert np.abs(bicubic(photo, 2) - wanted.permute(1, 2, 0).numpy()).max() < 3  # Pillow rounds in between as well


def test_a_face_across_the_edge(kit):
    photo = kit.photo()
    result = kit.restorer(kit.face(-15, 110, 40), kit.face(185, -8, 30), kit.face(-200, 0, 30))(photo)
    assert result.image.shape == photo.shape and np.abs(result.image.astype(int) - photo).max() <= 6


def test_faces_do_not_depend_on_others(kit):
    """In one batch or alone; a real network, which normalises each image by itself."""
    net = small_network()
    faces = [kit.face(10, 10, 20), kit.face(60, 60, 20), kit.face(120, 20, 20)]
    together = kit.restorer(*faces, net=net)(kit.photo()).image.astype(int)
    photo = kit.photo()
    for face in faces:
        photo = kit.restorer(face, net=net)(photo).image
    assert np.abs(together - photo).max() <= 1


def test_values_that_are_not_finite_are_refused(kit):
    class Broken(kit.Enlarge):
        def forward(self, lq):
            return super().forward(lq) * float('nan')

    with pytest.raises(UserError, match='not finite'):
        kit.restorer(kit.face(20, 20, 40), net=Broken())(kit.photo())


@pytest.mark.parametrize(
    'options',
    [
        {'upscale': 0},
        {'upscale': 1.5},
        {'batch': 0},
        {'lq_size': 0},
        {'lq_size': (32, 16)},
        {'lq_size': '16'},
        {'threshold': 1.0},
    ],
)
def test_values_out_of_range(kit, options):
    with pytest.raises(UserError, match=next(iter(options))):
        kit.restorer(**options)


# ----- finding -----


@pytest.mark.parametrize('shift, count', [(4, 1), (10, 1), (11, 2), (12, 2)])
def test_a_face_that_two_tiles_show_is_one(kit, shift, count):
    """The more certain one; 0.71, 0.41, 0.37 or 0.33 of the union of the two boxes is shared."""
    faces = finding._unique([kit.face(50, 50, 40, 0.8), kit.face(50 + shift, 50, 40, 0.9)])
    assert len(faces) == count and faces[0].score == 0.9


def test_small_faces_of_large_photos_are_looked_for_at_their_own_pixels(kit):
    photo = np.zeros((2600, 3000, 3), np.uint8)
    places = [(30, 40), (1272, 400), (2900, 2500), (1500, 20), (700, 1275), (846, 700), (700, 645)]  # four are cut
    seen = set()

    def detect(image, threshold):
        height, width = image.shape[:2]
        seen.add((height, width))
        if (height, width) == (2600, 3000):
            return [kit.face(1000, 1000, 700, 0.89), kit.face(30.5, 40, 20, 0.85)]
        top, left = place_of(image)
        return [
            within(kit.face(x - left, y - top, 20, 0.9), width, height)
            for x, y in [*places, (1300, 1300)]
            if left - 20 < x < left + width and top - 20 < y < top + height
        ]

    def within(face, width, height):
        """A detector sees what is left of a face that an edge cuts."""
        x0, y0, x1, y1 = face.box
        return replace(face, box=(max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)))

    def place_of(tile):
        offset = (tile.__array_interface__['data'][0] - photo.__array_interface__['data'][0]) // 3
        return offset // 3000, offset % 3000

    found = finding.find_faces(photo, detect, 0.8, 64)
    assert seen == {(2600, 3000), (1280, 1280)}
    assert found[-1].box[2] - found[-1].box[0] > 400  # the large one, of which the detector is least certain
    small = sorted(
        (round(face.landmarks[0, 0] - 0.357 * 20), round(face.landmarks[0, 1] - 0.466 * 20)) for face in found[:-1]
    )
    assert small == sorted(places)  # each once, whole; what lies within the large face is none


@pytest.mark.parametrize('largest', [128, 480])
def test_every_face_that_is_restored_fits_into_a_tile_with_room_around_it(largest):
    photo = np.zeros((40, 5000, 3), np.uint8)  # each pixel says in which column it is
    photo[..., 0], photo[..., 1] = np.arange(5000) % 256, np.arange(5000) // 256
    seen = []

    def detect(image, threshold):
        ends = [int(image[0, at, 0]) + 256 * int(image[0, at, 1]) for at in (0, -1)]
        seen.append((ends[0], ends[1] + 1))
        return []

    assert finding.find_faces(photo, detect, 0.8, largest) == [] and seen[0] == (0, 5000)
    tiles = sorted(seen[1:])
    assert tiles[0][0] == 0 and tiles[-1][1] == 5000 and all(right - left == finding.TILE for left, right in tiles)
    assert all(right - left >= 2 * largest for (_, right), (left, _) in zip(tiles, tiles[1:]))


@pytest.mark.parametrize('side', [60, 64, 65, 100, 128, 129, 300])
def test_of_faces_that_only_the_whole_photo_shows_none_is_lost(kit, side):
    photo, face = np.zeros((400, 3000, 3), np.uint8), kit.face(700, 50, side)
    found = finding.find_faces(photo, lambda image, _: [face] if image.shape == photo.shape else [], 0.8, 64)
    assert found == [face]


@pytest.mark.parametrize('height, width', [(100, 1280), (1281, 5000), (8000, 12000)])
def test_tiles_cover_a_photo_and_overlap(height, width):
    tiles = list(finding._tiles(height, width, finding.TILE, 128))
    covered = np.zeros((-(-height // 10), -(-width // 10)), bool)
    for top, left in tiles:
        assert top + min(finding.TILE, height) <= height and left + min(finding.TILE, width) <= width
        covered[top // 10 : -(-(top + finding.TILE) // 10), left // 10 : -(-(left + finding.TILE) // 10)] = True
    assert covered.all()
    lefts = sorted({left for _, left in tiles})
    assert all(after - before <= finding.TILE - 128 for before, after in zip(lefts, lefts[1:]))


def test_the_detector_is_shown_small_photos_enlarged():
    """It looks at up to 1280 pixels, and for large faces at 640; what it finds is in pixels of the photo."""
    looked = []

    def detect_faces(image, conf_threshold):
        looked.append(image.shape[:2])
        return np.array([[0, 0, *np.multiply(image.shape[1::-1], 0.1), 0.9, *range(10)]])

    one = object.__new__(FaceDetector)
    one.max_side, one.enlarge, one.net = finding.TILE, finding.ENLARGE, SimpleNamespace(detect_faces=detect_faces)
    (face,) = one(np.zeros((400, 600, 3), np.uint8), 0.5)
    assert looked == [(800, 1200), (427, 640)] and np.allclose(face.box, (0, 0, 60, 40))
    looked.clear()
    one(np.zeros((1280, 1280, 3), np.uint8), 0.5)
    assert looked == [(1280, 1280), (640, 640)]
    looked.clear()
    finding.find_faces(np.zeros((768, 1024, 3), np.uint8), one, 0.5, 64)
    assert looked.count((1280, 1280)) == 4  # tiles of 640 pixels


def test_a_photo_is_shown_to_the_detector_once(kit):
    one = kit.restorer(kit.face(20, 20, 30))
    one(kit.photo(), keep_faces=True)
    assert one.detect.calls == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_nothing_is_copied_for_each_face_on_a_gpu(kit):
    """The photo goes there and back; the matrices that resize faces are kept by size."""
    faces = [kit.face(20 + number % 10 * 17, 20 + number // 10 * 17, 20) for number in range(60)]
    one = PhotoRestorer(small_network(), detect=kit.detector(*faces), device='cuda')
    one(kit.photo())
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        assert len(one(kit.photo()).restored) == 60
    copies = sum(event.count for event in profile.key_averages() if 'HtoD' in event.key or 'DtoH' in event.key)
    assert copies < 20
