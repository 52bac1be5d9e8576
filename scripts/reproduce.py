"""Tables III and IV of the paper in small: every row trained and scored at one stated budget, and a page of results.

    python scripts/reproduce.py --train-gt DIR --train-lq DIR --test-gt DIR --test-lq DIR --output experiments/reproduce

Rows are option files in options/, made small by the rules in scripts/reproduce_rows.py. Table III trains on HR faces
and real LR faces and has no ground truth; Table IV trains on the HR faces alone, which must be 128x128 or larger.

A row that is finished is not run again, a killed one resumes; where one ends with an error, the others go on and the
page says so. Calls with different --rows may run side by side in one --output. It gets the runs (experiments/), their
option files (options/), restored faces (restored/, degraded/), scores (scores/*.json), pictures/ and the page,
results.md. Score files of several calls make one page with scripts/results_page.py.
"""

import argparse
import datetime
import hashlib
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import yaml
from PIL import Image
from selfsr_plugin import evaluate, files, restore, train
from selfsr_plugin.arguments import add_traceback, positive, renamed, weights_by_name
from selfsr_plugin.basicsr_compat.root import results_root
from selfsr_plugin.data.face_images import FaceImages
from selfsr_plugin.data.image_source import open_image_source
from selfsr_plugin.errors import UserError, one_sentence_errors
from selfsr_plugin.inference import run_network
from selfsr_plugin.loading import load
from selfsr_plugin.metrics.weights import ALEXNET, FID_INCEPTION, find_weights
from selfsr_plugin.ops import bicubic_downsample, to_image
from selfsr_plugin.pictures import Images, draw_sheet, resize, write_picture

from reproduce_rows import BUDGETS, ROWS, TABLE3, TABLE4, run_options
from results_page import write_page

HEADLINE = ('vanilla', 'cyc_idt', 'ff_idt', 'paired_full', 'unpaired_full')  # run with every seed
LR_SIDE = 16
PICTURED = 8  # faces on a sheet


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for split in ('train', 'test'):
        parser.add_argument(
            f'--{split}-gt', required=True, type=files.path, metavar='DIR', help='HR faces, folder or LMDB'
        )
        parser.add_argument(
            f'--{split}-lq', required=True, type=files.path, metavar='DIR', help='real LR faces, folder or LMDB'
        )
    parser.add_argument(
        '--lq-crop',
        nargs=3,
        type=float,
        default=[0, 0, 1],
        metavar=('LEFT', 'TOP', 'SIDE'),
        help='cut the LR faces to this part of them first, in shares of their side, where they are not '
        'framed like the HR faces (default: 0 0 1, all)',
    )
    parser.add_argument(
        '--weights',
        nargs='+',
        default=[],
        metavar='NAME=FILE',
        help="lpips: torchvision's AlexNet (default: torch.hub's cache); fid: FID's Inception network, "
        'without which there is no FID',
    )
    parser.add_argument('--output', type=files.path, default=Path('experiments/reproduce'), metavar='DIR')
    parser.add_argument(
        '--page',
        type=files.path,
        metavar='FILE',
        help='the page; what stands outside its two marks stays (default: results.md in --output)',
    )
    parser.add_argument(
        '--rows',
        nargs='*',
        choices=ROWS,
        default=list(ROWS),
        metavar='ROW',
        help=f'any of {" ".join(ROWS)} (default: all; none: the page and the pictures alone)',
    )
    parser.add_argument(
        '--seeds',
        nargs='+',
        type=int,
        default=[0, 1],
        metavar='SEED',
        help=f'all for {", ".join(HEADLINE)}, the first for the others (default: 0 1)',
    )
    parser.add_argument(
        '--budget',
        choices=BUDGETS,
        default='full' if torch.cuda.is_available() else 'minutes',
        help='what a row may cost, see scripts/reproduce_rows.py (default: full with a GPU, minutes without)',
    )
    parser.add_argument(
        '--divide',
        type=positive,
        default=600,
        metavar='N',
        help='with minutes and full: run 1/N of the iterations of the option files (default: 600)',
    )
    parser.add_argument(
        '--iterations', type=positive, default=5000, metavar='N', help='with hours: of each stage (default: 5000)'
    )
    parser.add_argument(
        '--val-gt',
        type=files.path,
        metavar='DIR',
        help='HR faces of neither training nor test: every checkpoint that is there restores their bicubic LR faces, '
        'for curves over a training with hours',
    )
    add_traceback(parser)
    renamed(
        parser,
        train_hr='--train-gt',
        train_lr='--train-lq',
        test_hr='--test-gt',
        test_lr='--test-lq',
        lr_crop='--lq-crop',
        networks='--budget',
        alexnet_weights='--weights lpips=FILE',
        fid_weights='--weights fid=FILE',
    )
    return parser.parse_args()


def main() -> None:
    args = parse()
    with one_sentence_errors(args.traceback):
        for key in ('train_gt', 'train_lq', 'test_gt', 'test_lq', 'val_gt'):
            if getattr(args, key) is not None:
                open_image_source(getattr(args, key))  # a missing folder must show before hours of training
                setattr(args, key, os.path.abspath(getattr(args, key)))
        given = weights_by_name(args.weights, ('lpips', 'fid'))
        args.weights = {'lpips': str(find_weights(ALEXNET, given.get('lpips')).absolute())}
        if 'fid' in given:
            args.weights['fid'] = str(find_weights(FID_INCEPTION, given['fid']).absolute())
        page = (args.page or args.output / 'results.md').absolute()
        args.output.mkdir(parents=True, exist_ok=True)
        os.chdir(args.output)  # where runs put their folders
        prepare(args)
        args.faces = {key: fingerprint(getattr(args, key)) for key in ('train_gt', 'train_lq', 'test_gt', 'test_lq')}
        for baseline in ('bicubic_x4', 'bicubic_x8'):
            run_once(baseline, None, args)
        stopped = []
        for seed in args.seeds:  # every row once before any row twice
            for row in args.rows:
                if (row in HEADLINE or seed == args.seeds[0]) and not run_once(row, seed, args):
                    stopped.append(f'{row}_seed{seed}')
        draw_pictures(args.seeds[0])
        write_page(Path('scores'), page)
        if stopped:
            raise UserError(f'{", ".join(stopped)}: ended with the errors above; the same command goes on with them.')


def prepare(args: argparse.Namespace) -> None:
    """Make data/: the real LR faces cut again and 16x16, the test's HR faces at 64 and 128, and their clean LR faces.

    Raises:
        UserError: the folder was made from other faces or with another crop.
    """
    left, top, side = args.lq_crop
    if min(left, top) < 0 or side <= 0 or max(left, top) + side > 1:
        raise UserError(f'--lq-crop {left:g} {top:g} {side:g}: LEFT + SIDE and TOP + SIDE must stay between 0 and 1.')
    settings = {key: getattr(args, key) for key in ('train_lq', 'test_gt', 'test_lq', 'lq_crop')}
    if Path('data').exists():
        if json.loads(Path('data/settings.json').read_text()) != settings:
            raise UserError(
                f'{Path("data").absolute()} was made from other faces or with another --lq-crop: give '
                'another --output, or remove the folder.'
            )
        return
    with tempfile.TemporaryDirectory(dir='.') as scratch:
        made = Path(scratch) / 'data'
        for kind in ('train_lq', 'test_lq'):
            source = open_image_source(getattr(args, kind))
            (made / kind).mkdir(parents=True)
            for index, name in enumerate(source.names):
                face = Image.fromarray(source.read(index)[..., ::-1])
                box = [share * length for share, length in zip((left, top, left + side, top + side), face.size * 2)]
                face.resize((LR_SIDE, LR_SIDE), Image.BICUBIC, box=box).save(made / kind / f'{name}.png')
        for scale in (4, 8):
            faces = FaceImages(dict(dataroot_gt=args.test_gt, phase='test'), 'dataroot_gt', LR_SIDE * scale)
            for index, name in enumerate(faces.names):
                face = faces.read(index)
                files.write_image(made / f'test_gt_x{scale}/{name}.png', to_image(face))
                files.write_image(made / f'test_clean_x{scale}/{name}.png', to_image(bicubic_downsample(face, scale)))
        (made / 'settings.json').write_text(json.dumps(settings))
        if not Path('data').exists():  # a call beside this one may have been faster
            made.rename('data')


def run_once(row: str, seed: int | None, args: argparse.Namespace) -> bool:
    """Train and score, unless scores/<name>.json says that this has been done; whether it came to its end.

    Raises:
        UserError: it has been done, or begun, with other options, on other faces or by other code.
    """
    name = row if seed is None else f'{row}_seed{seed}'
    amount = args.iterations if args.budget == 'hours' else args.divide
    result = dict(
        row=row,
        seed=seed,
        status='begun',
        budget=args.budget,
        amount=amount,
        commit=commit(),
        faces=args.faces,
        lq_crop=args.lq_crop,
        options=None if seed is None else run_options(row, seed, args.budget, amount),
    )
    found = Path(f'scores/{name}.json')
    if found.exists():
        before = json.loads(found.read_text())
        for key, what in (('options', 'options (budget)'), ('faces', 'faces')):
            if before[key] != result[key]:
                raise UserError(
                    f'{found.absolute()} is of a run with other {what}: give another --output, or remove that file '
                    'and the folder of the run.'
                )
        if before['status'] == 'finished':
            print(f'{name}: finished before')
            return True
        if before['commit'] != result['commit']:
            raise UserError(
                f'{found.absolute()} is of a run that commit {before["commit"]} began, and this is {result["commit"]}: '
                'check the former out, or remove that file and the folder of the run.'
            )
    write_scores(found, result)
    opt = result['options']
    if opt is not None:
        lq = str(Path('data/train_lq').absolute())
        file = Path(f'options/{name}.yml')
        file.parent.mkdir(exist_ok=True)
        file.write_text(yaml.safe_dump(run_options(row, seed, args.budget, amount, args.train_gt, lq), sort_keys=False))
        resumes, started = models(name).exists(), time.time()
        try:
            train.main(['-opt', str(file), '--auto_resume'])
        except SystemExit as end:
            if end.code != 1:  # a signal
                raise
            write_scores(found, {**result, 'status': 'stopped'})
            return False
        result['minutes'] = None if resumes else (time.time() - started) / 60
        result['collapsed'] = any('may have collapsed' in log.read_text() for log in models(name).parent.glob('*.log'))
        result['curve'] = curve(name, opt['scale'], None if resumes else started, args)
    result.update(
        status='finished',
        scores=score(row, name, opt, args),
        hardware=hardware(),
        torch=torch.__version__,
        date=str(datetime.date.today()),
    )
    write_scores(found, result)
    return True


def write_scores(path: Path, result: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    files.write_file(path, f'{json.dumps(result, indent=2)}\n'.encode())


def commit() -> str:
    """Of the code that runs, with a + where it was changed since; 'unknown' outside a clone."""
    folder = Path(__file__).parent
    found = [
        subprocess.run(['git', *command], cwd=folder, capture_output=True, text=True)
        for command in (['rev-parse', '--short=10', 'HEAD'], ['status', '--porcelain', '--untracked-files=no'])
    ]
    if any(each.returncode for each in found):
        return 'unknown'
    return found[0].stdout.strip() + '+' * bool(found[1].stdout.strip())


def fingerprint(folder: str) -> str:
    """Says whether two machines have the same faces: their number, and a hash of their names."""
    names = open_image_source(folder).names
    return f'{len(names)} images, {hashlib.sha256(chr(10).join(names).encode()).hexdigest()[:12]}'


def curve(name: str, scale: int, started: float | None, args: argparse.Namespace) -> list[dict[str, float | None]]:
    """LPIPS and PSNR-Y on --val-gt of every checkpoint of stage 2 that is there: iteration, minutes since the start."""
    if args.val_gt is None:
        return []
    points = []
    found = {int(path.stem.rpartition('_')[2]): path for path in models(name).glob('net_g_[0-9]*.pth')}
    for side in ('gt', 'clean'):
        folder = Path(f'data/val_{side}_x{scale}')
        if not folder.exists():
            faces = FaceImages(dict(dataroot_gt=args.val_gt, phase='test'), 'dataroot_gt', LR_SIDE * scale)
            for index, face_name in enumerate(faces.names):
                face = faces.read(index)
                image = to_image(face if side == 'gt' else bicubic_downsample(face, scale))
                files.write_image(folder / f'{face_name}.png', image)
    for iteration, path in sorted(found.items()):
        target = f'restored/{name}_curve/{iteration}'
        restore_by(path, f'data/val_clean_x{scale}', target)
        for face_name, image in Images(target).items():  # x2 images of a level below the full scale are enlarged
            files.write_image(f'{target}/{face_name}.png', resize(image, LR_SIDE * scale))
        scores = compare(target, f'data/val_gt_x{scale}', ['psnr', 'lpips'], args)
        minutes = None if started is None else (path.stat().st_mtime - started) / 60
        points.append(
            dict(iteration=iteration, minutes=minutes, **{key: each['value'] for key, each in scores.items()})
        )
    return points


def models(name: str) -> Path:
    return Path(results_root()) / 'experiments' / name / 'models'


def score(row: str, name: str, opt: dict[str, Any] | None, args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Restore the test faces and compare; the entries of evaluate's summary by names of this script."""
    sets = ['frechet_alex'] + ['fid'] * ('fid' in args.weights)
    if row in TABLE4 or row == 'bicubic_x8':
        restore_faces('data/test_clean_x8', name, name)
        return compare(f'restored/{name}', 'data/test_gt_x8', ['psnr', 'ssim', 'lpips', *sets], args)
    restore_faces('data/test_lq', name, name)
    restore_faces('data/test_clean_x4', f'{name}_clean', name)
    scores = compare(f'restored/{name}', 'data/test_gt_x4', sets, args)
    scores['psnr_clean'] = compare(f'restored/{name}_clean', 'data/test_gt_x4', ['psnr'], args)['psnr']
    degraded = 'data/test_clean_x4'  # what trained the rows without a degradation network
    if opt is not None and 'degradation' in opt['train']:
        degraded = f'degraded/{name}'
        degrade_faces(models(name) / f'net_deg_{opt["train"]["degradation"]["total_iter"]}.pth', degraded)
    scores.update({f'{key}_lq': value for key, value in compare(degraded, 'data/test_lq', sets, args).items()})
    return scores


def restore_faces(lq: str, target: str, name: str) -> None:
    if name.startswith('bicubic'):
        for face, image in Images(lq).items():
            files.write_image(f'restored/{target}/{face}.png', resize(image, LR_SIDE * int(name[-1])))
    else:
        restore_by(models(name) / 'net_g_latest.pth', lq, f'restored/{target}')


def restore_by(model: Path, lq: str, output: str) -> None:
    restore.run(restore.parse(['--faces', '--input', lq, '--output', output, '--model', str(model)]))


def degrade_faces(model: Path, target: str) -> None:
    net = load(model)
    faces = FaceImages(dict(dataroot_lq='data/test_clean_x4', phase='test'), 'dataroot_lq', None)
    for result in run_network(net, faces, 64, torch.device('cpu')):
        if result.output is None:
            raise UserError(result.problem)
        files.write_image(f'{target}/{faces.names[result.index]}.png', to_image(result.output))


def compare(restored: str, reference: str, metrics: list[str], args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    files = {**args.weights, 'frechet_alex': args.weights['lpips']}
    weights = [f'{name}={files[name]}' for name in metrics if name in files]
    output = Path('scores') / f'{restored.replace("/", "_")}_{metrics[0]}'
    evaluate.run(
        evaluate.parse(
            [
                '--restored',
                restored,
                '--reference',
                reference,
                '--metrics',
                *metrics,
                *(['--weights', *weights] if weights else []),
                '--output',
                str(output),
            ]
        )
    )
    return json.loads((output / 'scores.json').read_text())['metrics']


def draw_pictures(seed: int) -> None:
    """Sheets of what there is: LR, bicubic, every row of the table, HR; and what stage 1 makes of clean LR faces."""
    sheets = {'table3': ('data/test_lq', 'bicubic_x4', TABLE3, None)}
    for half in ('paired', 'unpaired'):
        rows = [row for row in TABLE4 if row.startswith(f'{half}_')]
        sheets[f'table4_{half}'] = ('data/test_clean_x8', 'bicubic_x8', rows, 'data/test_gt_x8')
    for sheet, (lq, bicubic, rows, hr) in sheets.items():
        there = [row for row in rows if Path(f'restored/{row}_seed{seed}').exists()]
        columns = {
            'LR': lq,
            'bicubic': f'restored/{bicubic}',
            **{row: f'restored/{row}_seed{seed}' for row in there},
            **({'HR': hr} if hr else {}),
        }
        draw(sheet, columns)
    stage1 = {row: f'degraded/{row}_seed{seed}' for row in TABLE3 if Path(f'degraded/{row}_seed{seed}').exists()}
    draw('table3_degraded', {'clean LR': 'data/test_clean_x4', **stage1, 'real LR': 'data/test_lq'})


def draw(sheet: str, columns: dict[str, str]) -> None:
    """Faces at equal steps through each folder; real LR faces show others than HR faces."""
    images = {title: Images(folder) for title, folder in columns.items()}
    names = {title: list(each)[:: max(len(each) // PICTURED, 1)][:PICTURED] for title, each in images.items()}
    count = min(map(len, names.values()))
    rows = [[images[title][names[title][number]] for title in columns] for number in range(count)]
    write_picture(f'pictures/{sheet}.png', draw_sheet(rows, list(columns)))


def hardware() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    lines = Path('/proc/cpuinfo').read_text().splitlines()
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')] or ['an unnamed CPU']
    return f'CPU, {torch.get_num_threads()} of {os.cpu_count()} cores of {names[0]}'


if __name__ == '__main__':
    main()
