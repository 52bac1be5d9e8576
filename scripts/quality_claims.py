"""What degradation keeps of a face, which no distance of sets shows: identity, skin colour, and what part motion has.

    python scripts/quality_claims.py --faces DIR --output docs/scores/claims.json \\
        --networks ff_idt=experiments/ff_idt_seed0/models/net_deg_5000.pth ff_idt=experiments/ff_idt_seed1/models/...

Every network of stage 1 (FlowDegradationNet or CycleGANGenerator) degrades the bicubic LR faces of a folder of HR
faces; files under one name are the seeds of one row. scripts/results_page.py puts the file into its page.

    identity   cosine of the embeddings of clean and degraded face, enlarged; by facexlib's ArcFace where its weights
               are given, else by the network of the package face_recognition_models (extra "landmarks"), which sees
               both as the landmarks of the HR face frame them. The row "other people" says what strangers have
    colour     mean distance in CIELAB (CIE 1976) of the two in their middle half, which is skin for the most part,
               blurred by a Gaussian of 2 pixels
    by_flow    share of the change that the flow alone makes: 1 - |degraded - W(clean, flow)|^2 / |degraded - clean|^2
    by_image   the same of the intermediate image, which the flow then warps; the two need not add up to 1
    flow       mean length of the flow in LR pixels
"""

import argparse
import datetime
import hashlib
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from selfsr_plugin import files
from selfsr_plugin.archs import CycleGANGenerator, FlowDegradationNet
from selfsr_plugin.arguments import add_traceback, add_weights, positive, weights_by_name
from selfsr_plugin.baselines.landmark_sources import dlib_68
from selfsr_plugin.data.face_images import FaceImages
from selfsr_plugin.errors import UserError, one_sentence_errors
from selfsr_plugin.inference import find_device
from selfsr_plugin.loading import load
from selfsr_plugin.metrics.identity_metric import face_similarity
from selfsr_plugin.metrics.weights import ARCFACE, find_weights
from selfsr_plugin.ops import bicubic_downsample, flow_warp, to_image
from selfsr_plugin.pictures import resize
from skimage.color import rgb2lab
from torch import Tensor

from reproduce import commit, fingerprint, hardware

SCALE = 4  # of Table III, whose stage 1 this is
HR_SIDE = 128  # of the faces that landmarks are looked for in
CHIP = 256  # LR faces are enlarged to this before dlib frames them
BLUR = 2.0  # pixels of the LR face
BATCH = 64

# Two LR faces, each with the number of the HR face that says how it is framed; None where that shows no face.
Similar = Callable[[int, np.ndarray, int, np.ndarray], 'float | None']


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--faces', required=True, type=files.path, metavar='DIR', help='HR faces, folder or LMDB')
    parser.add_argument(
        '--networks',
        required=True,
        nargs='+',
        action='extend',
        metavar='NAME=FILE',
        help='net_deg_*.pth, by their rows',
    )
    parser.add_argument('--output', required=True, type=files.path, metavar='FILE', help='JSON file to write')
    parser.add_argument('--lq-size', type=positive, default=16, metavar='PIXELS', help='LR side (default: 16)')
    parser.add_argument('--count', type=positive, metavar='N', help='of the faces, the first (default: all)')
    add_weights(parser, "arcface=FILE: facexlib's (default: its folder)")
    add_traceback(parser)
    args = parser.parse_args()
    with one_sentence_errors(args.traceback):
        networks = named_files(args.networks)
        nets = {name: [(path, load_degradation(path)) for path in paths] for name, paths in networks.items()}
        similar, said = identity(args, weights_by_name(args.weights, ('arcface',)).get('arcface'))
        clean = clean_faces(args)
        claims: dict[str, list[dict[str, Any]]] = {
            name: [measure(net, path, clean, similar) for path, net in each] for name, each in nets.items()
        }
        claims['other people'] = [strangers(clean, similar)]
        content = dict(
            claims=claims,
            conditions=[
                f'{len(clean)} faces of {args.lq_size}x{args.lq_size} ({fingerprint(str(args.faces))})',
                f'identity: {said}; {sum(each["identity_of"] for each in claims["other people"])} faces',
                f'{hardware()}; commit {commit()}; {datetime.date.today()}',
            ],
        )
        files.write_file(args.output, f'{json.dumps(content, indent=2)}\n'.encode())
        print(json.dumps(claims, indent=2))


def named_files(entries: list[str]) -> dict[str, list[Path]]:
    """``NAME=FILE ...`` with several files of one name."""
    found: dict[str, list[Path]] = {}
    for entry in entries:
        name, sign, file = entry.partition('=')
        if not sign or not name or not file:
            raise UserError(f'--networks {entry}: write NAME=FILE, such as ff_idt=net_deg_5000.pth.')
        found.setdefault(name, []).append(Path(file))
    return found


def load_degradation(path: Path) -> FlowDegradationNet | CycleGANGenerator:
    net = load(path)
    if not isinstance(net, (FlowDegradationNet, CycleGANGenerator)):
        raise UserError(
            f'--networks: {path} holds a {type(net).__name__}, and a network of stage 1 from LR faces to LR faces is '
            'needed: FlowDegradationNet or CycleGANGenerator.'
        )
    return net


def clean_faces(args: argparse.Namespace) -> Tensor:
    """The bicubic LR faces (N, 3, S, S) in [0, 1], rounded to 8 bits."""
    faces = hr_faces(args)
    count = min(args.count or len(faces), len(faces))
    small = [bicubic_downsample(faces.read(index), SCALE) for index in range(count)]
    return torch.stack(small).clamp(0, 1).mul(255).round() / 255


def hr_faces(args: argparse.Namespace) -> FaceImages:
    root = dict(dataroot_gt=str(args.faces), phase='test')
    return FaceImages(root, 'dataroot_gt', SCALE * args.lq_size, '--faces')


@torch.no_grad()
def measure(
    net: FlowDegradationNet | CycleGANGenerator, path: Path, clean: Tensor, similar: Similar | None
) -> dict[str, Any]:
    """All figures of one network; None for what it has not, or cannot be measured here."""
    device = find_device(None)
    net = net.to(device)
    outputs: dict[str, list[Tensor]] = {}
    for faces in clean.split(BATCH):
        faces = faces.to(device)
        if isinstance(net, FlowDegradationNet):
            parts = net(faces, return_parts=True)
            made = dict(
                degraded=parts.degraded,
                intermediate=parts.intermediate,
                moved=flow_warp(faces, parts.flow),
                length=parts.flow.norm(dim=1),
            )
        else:
            made = dict(degraded=net(faces))
        for key, value in made.items():
            outputs.setdefault(key, []).append(value.cpu())
    found = {key: torch.cat(each) for key, each in outputs.items()}
    degraded = found['degraded']
    cosines = similarities(clean, degraded, similar)
    result = dict(
        file=hashlib.sha256(path.read_bytes()).hexdigest()[:12],
        identity=float(np.mean(cosines)) if cosines else None,
        identity_of=len(cosines),
        colour=colour_change(clean, degraded),
    )
    if 'moved' in found:
        result.update(
            by_flow=explained(clean, degraded, found['moved']),
            by_image=explained(clean, degraded, found['intermediate']),
            flow=float(found['length'].mean()),
        )
    return result


def explained(clean: Tensor, degraded: Tensor, part: Tensor) -> float | None:
    """How much of the change from ``clean`` to ``degraded`` an image in between has made: 1 for all, 0 for none."""
    change = (degraded - clean).square().sum()
    return float(1 - (degraded - part).square().sum() / change) if change else None


def colour_change(a: Tensor, b: Tensor) -> float:
    """The mean distance in CIELAB of the middle halves of faces (N, 3, S, S) in [0, 1], both blurred."""
    start, end = a.shape[-1] // 4, -(a.shape[-1] // 4)
    distances = []
    for pair in zip(a, b):
        lab = []
        for image in pair:
            rgb = image.clamp(0, 1).permute(1, 2, 0).contiguous().numpy()
            lab.append(rgb2lab(cv2.GaussianBlur(rgb, (0, 0), BLUR)))
        distances.append(np.linalg.norm(lab[0] - lab[1], axis=2)[start:end, start:end].mean())
    return float(np.mean(distances))


# ----- identity -----


def identity(args: argparse.Namespace, weights: str | None) -> tuple[Similar | None, str]:
    """How faces are compared, and its name for the page; None where no network is to be had."""
    try:
        file = find_weights(ARCFACE, weights)
    except FileNotFoundError:
        if weights is not None:
            raise
    else:
        return lambda _, a, __, b: face_similarity(a, b, str(file)), ARCFACE.network
    if all(importlib.util.find_spec(name) for name in ('dlib', 'face_recognition_models')):
        return dlib_similarity(args), 'the network of face_recognition_models 0.3.0 (dlib), framed by 68 landmarks'
    return None, f'not measured, for lack of {ARCFACE.network} and of the extra "landmarks"'


def dlib_similarity(args: argparse.Namespace) -> Similar:
    """Cosine of the 128 numbers that dlib's face recognition network makes of a face; None where dlib finds none."""
    import dlib

    folder = Path(importlib.util.find_spec('face_recognition_models').submodule_search_locations[0])
    embed = dlib.face_recognition_model_v1(str(folder / 'models/dlib_face_recognition_resnet_model_v1.dat'))
    landmarks, faces = dlib_68(None, 'cpu'), hr_faces(args)
    shapes: dict[int, Any] = {}
    known: dict[int, np.ndarray] = {}

    def shape(number: int) -> Any:
        if number not in shapes:
            points = landmarks(resize(faces.read_stored(number), HR_SIDE))
            if points is not None:
                points = [dlib.point(*map(round, point)) for point in (points + 0.5) * CHIP / HR_SIDE - 0.5]
                points = dlib.full_object_detection(dlib.rectangle(0, 0, CHIP, CHIP), points)
            shapes[number] = points
        return shapes[number]

    def embedding(number: int, image: np.ndarray) -> np.ndarray:
        large = cv2.resize(image, (CHIP, CHIP), interpolation=cv2.INTER_CUBIC)
        return np.array(embed.compute_face_descriptor(np.ascontiguousarray(large[..., ::-1]), shape(number)))

    def similar(number: int, clean: np.ndarray, other: int, image: np.ndarray) -> float | None:
        if shape(number) is None or shape(other) is None:
            return None
        if number not in known:
            known[number] = embedding(number, clean)
        a, b = known[number], embedding(other, image)
        return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))

    return similar


def similarities(clean: Tensor, others: Tensor, similar: Similar | None, further: int = 0) -> list[float]:
    """Of all faces in which a face is found, each with the one so many numbers ``further``."""
    if similar is None:
        return []
    count = len(clean)
    pairs = [(number, (number + further) % count) for number in range(count)]
    found = [similar(a, to_image(clean[a]), b, to_image(others[b])) for a, b in pairs]
    return [each for each in found if each is not None]


def strangers(clean: Tensor, similar: Similar | None) -> dict[str, Any]:
    """What the clean face of another person has, half the folder further: the identity of nobody."""
    cosines = similarities(clean, clean, similar, len(clean) // 2)
    return dict(identity=float(np.mean(cosines)) if cosines else None, identity_of=len(cosines))


if __name__ == '__main__':
    main()
