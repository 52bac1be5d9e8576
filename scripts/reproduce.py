"""Tables I to IV of the paper in small: every row trained and scored at one stated budget, and a page of results.

    python scripts/reproduce.py --train-gt DIR --train-lq DIR --test-gt DIR --test-lq DIR --output experiments/reproduce

Rows are option files in options/, made small by the rules in scripts/reproduce_rows.py and, for the methods of Tables I
and II, scripts/reproduce_baselines.py. Tables II and III train on HR faces and real LR faces and have no ground truth;
Tables I and IV train on the HR faces alone, which must be 128x128 or larger.

A row of Tables I and II is trained for as many iterations as SelFSR's row of its table, or for as many minutes,
whichever is more: a trial of the row says how many iterations the minutes are. Rows that need landmarks, parsing maps
or VGG19 are left out, and said, where these are not given; named with --rows, they are refused.

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
from selfsr_plugin import files
from selfsr_plugin.arguments import add_traceback, add_weights, positive, renamed, weights_by_name
from selfsr_plugin.baselines.landmarks import read_count
from selfsr_plugin.data.face_images import FaceImages
from selfsr_plugin.data.image_source import open_image_source
from selfsr_plugin.errors import UserError, one_sentence_errors
from selfsr_plugin.metrics.weights import ALEXNET, FID_INCEPTION, WeightsFile, find_weights
from selfsr_plugin.ops import bicubic_downsample, to_image

from reproduce_baselines import BASELINES
from reproduce_pictures import draw_pictures
from reproduce_rows import BUDGETS, ROWS, trainings
from reproduce_scoring import LR_SIDE, cost, curve, cut_lq_faces, models, score
from reproduce_training import TRIAL, baseline_amount, check_minutes, own_amount, places, train_all
from results_page import write_page
from score_files import flat_trainings

HEADLINE = ('vanilla', 'cyc_idt', 'ff_idt', 'paired_full', 'unpaired_full')  # run with every seed
POINTS = 68  # landmarks of a face that the networks of the rows are made for
VGG19 = WeightsFile(
    "torchvision's VGG19", 'vgg19-dcbb9e9d.pth', 'https://download.pytorch.org/models/vgg19-dcbb9e9d.pth'
)


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
    add_weights(
        parser,
        "lpips: torchvision's AlexNet (default: torch.hub's cache); fid: FID's Inception network, without which "
        "there is no FID; vgg: torchvision's VGG19, for SRGAN and FSRGAN (default: torch.hub's cache)",
    )
    parser.add_argument(
        '--landmarks',
        type=files.path,
        metavar='FILE',
        help=f'{POINTS} landmarks of --train-gt, by make_landmarks: for DIC, DICGAN and PFSR',
    )
    parser.add_argument(
        '--parsing',
        type=files.path,
        metavar='DIR',
        help='parsing maps of --train-gt, by make_parsing: for FSRNet and FSRGAN',
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
        action='extend',
        choices=ROWS,
        metavar='ROW',
        help=f'any of {" ".join(ROWS)} (default: all for which there is what they need; none: the page and the '
        'pictures alone)',
    )
    parser.add_argument(
        '--seeds',
        nargs='+',
        action='extend',
        type=int,
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
        '--least-minutes',
        type=float,
        metavar='M',
        help="of the rows of Tables I and II; 0: as many iterations as SelFSR's row, however long they take (default: "
        "the minutes of SelFSR's row of the table, which must have been run in --output)",
    )
    parser.add_argument(
        '--val-gt',
        type=files.path,
        metavar='DIR',
        help='HR faces of neither training nor test: every checkpoint that is there restores their bicubic LR faces, '
        'for curves over a training with hours',
    )
    parser.add_argument(
        '--val-lq',
        type=files.path,
        metavar='DIR',
        help='real LR faces of neither training nor test, for the curves of Tables II and III: restored, they are held '
        'against --val-gt',
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
        for key in ('train_gt', 'train_lq', 'test_gt', 'test_lq', 'val_gt', 'val_lq', 'parsing'):
            if getattr(args, key) is not None:
                open_image_source(getattr(args, key))  # a missing folder must show before hours of training
                setattr(args, key, os.path.abspath(getattr(args, key)))
        if args.val_lq is not None and args.val_gt is None:
            raise UserError('--val-lq: its faces are held against those of --val-gt, give these too.')
        given = weights_by_name(args.weights, ('lpips', 'fid', 'vgg'))
        args.weights = {'lpips': str(find_weights(ALEXNET, given.get('lpips')).absolute())}
        if 'fid' in given:
            args.weights['fid'] = str(find_weights(FID_INCEPTION, given['fid']).absolute())
        use_vgg(given.get('vgg'))
        if args.landmarks is not None:
            args.landmarks = os.path.abspath(args.landmarks)
            if read_count(args.landmarks) != POINTS:
                raise UserError(
                    f'--landmarks: {args.landmarks} has {read_count(args.landmarks)} points of each face, and these '
                    f'rows are made for {POINTS}: make them with --detector fan or dlib.'
                )
        args.rows, args.seeds = rows_to_run(args), args.seeds or [0, 1]
        args.commit = commit()  # now: the code of this process stays what it is, whatever is checked out later
        page = (args.page or args.output / 'results.md').absolute()
        args.output.mkdir(parents=True, exist_ok=True)
        os.chdir(args.output)  # where runs put their folders
        check_minutes(args)
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


def use_vgg(path: str | None) -> None:
    """Have BasicSR's PerceptualLoss read this file instead of torch.hub's cache."""
    if path is not None:
        from basicsr.archs import vgg_arch

        vgg_arch.VGG_PRETRAIN_PATH = str(find_weights(VGG19, path).absolute())


def rows_to_run(args: argparse.Namespace) -> list[str]:
    """Those asked for; by default all that have what they need, of which the others are named.

    Raises:
        UserError: one asked for lacks something.
    """
    lacking = {row: lack for row in (ROWS if args.rows is None else args.rows) if (lack := lacks(row, args))}
    if args.rows is None:
        for row, lack in lacking.items():
            print(f'{row} is not run: {lack}.')
        return [row for row in ROWS if row not in lacking]
    if lacking:
        raise UserError(f'--rows {"; ".join(f"{row}: {lack}" for row, lack in lacking.items())}.')
    return args.rows


def lacks(row: str, args: argparse.Namespace) -> str:
    """What a row needs and the command line does not give, with the remedy; '' for nothing."""
    if row not in BASELINES:
        return ''
    found = trainings(row, 0, args.budget, len(BASELINES[row].files) * TRIAL)
    data = [opt['datasets']['train'] for opt in found]
    if args.landmarks is None and any('landmarks' in each for each in data):
        return 'it learns from landmarks, give --landmarks (python -m selfsr_plugin.make_landmarks makes them)'
    if args.parsing is None and any('dataroot_parsing' in each for each in data):
        return 'it learns from parsing maps, give --parsing (python -m selfsr_plugin.make_parsing makes them)'
    if any(opt['train'].get('perceptual_opt') for opt in found):
        from basicsr.archs import vgg_arch

        if not Path(vgg_arch.VGG_PRETRAIN_PATH).exists():
            try:
                find_weights(VGG19)
            except FileNotFoundError:
                return (
                    f'it compares features of {VGG19.network}, give --weights vgg=FILE ({VGG19.source}), or run '
                    f'{row}_no_vgg'
                )
    return ''


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
            cut_lq_faces(getattr(args, kind), made / kind, args.lq_crop)
        for scale in (4, 8):
            faces = FaceImages(dict(dataroot_gt=args.test_gt, phase='test'), 'dataroot_gt', LR_SIDE * scale)
            for index, name in enumerate(faces.names):
                face = faces.read(index)
                files.write_image(made / f'test_gt_x{scale}/{name}.png', to_image(face))
                files.write_image(made / f'test_clean_x{scale}/{name}.png', to_image(bicubic_downsample(face, scale)))
        (made / 'settings.json').write_text(json.dumps(settings))
        if not Path('data').exists():  # a call beside this one may have been faster
            made.rename('data')


def stated_options(run: dict[str, Any]) -> dict[str, Any]:
    """All options of a score file that decide what is computed; of bicubic there are none."""
    return flat_trainings([*run.get('earlier', []), run['options']]) if run['options'] else {}


def run_once(row: str, seed: int | None, args: argparse.Namespace) -> bool:
    """Train and score, unless scores/<name>.json says that this has been done; whether it came to its end.

    Raises:
        UserError: it has been done, or begun, with other options, on other faces or by other code.
    """
    name = row if seed is None else f'{row}_seed{seed}'
    found = Path(f'scores/{name}.json')
    before = json.loads(found.read_text()) if found.exists() else None
    amount, more = own_amount(args), {}
    if row in BASELINES:
        amount, least = baseline_amount(row, seed, before, args)
        more = dict(earlier=trainings(row, seed, args.budget, amount)[:-1], least=least)
    stated = [] if seed is None else trainings(row, seed, args.budget, amount)
    result = dict(
        row=row,
        seed=seed,
        status='begun',
        budget=args.budget,
        amount=amount,
        commit=args.commit,
        faces=args.faces,
        lq_crop=args.lq_crop,
        options=stated[-1] if stated else None,
        **more,
    )
    if before is not None:
        same_options = stated_options(before) == stated_options(result)
        for same, what in ((same_options, 'options (budget)'), (before['faces'] == result['faces'], 'faces')):
            if not same:
                raise UserError(
                    f'{found.absolute()} is of a run with other {what}: give another --output, or remove that file '
                    'and the folder of the run.'
                )
        if before['status'] == 'finished':
            if before.get('curve'):  # of an earlier version, or a call without --val-lq
                before['curve'] = curve(row, stated, None, args, before['curve'])
                write_scores(found, before)
            print(f'{name}: finished before')
            return True
        if before['commit'] != result['commit']:
            raise UserError(
                f'{found.absolute()} is of a run that commit {before["commit"]} began, and this is {result["commit"]}: '
                'check the former out, or remove that file and the folder of the run.'
            )
    write_scores(found, result)
    if stated:
        resumes, started = any(models(opt['name']).exists() for opt in stated), time.time()
        if not train_all(trainings(row, seed, args.budget, amount, places(args))):
            write_scores(found, {**result, 'status': 'stopped'})
            return False
        logs = [log for opt in stated for log in models(opt['name']).parent.glob('*.log')]
        result['minutes'] = None if resumes else (time.time() - started) / 60
        result['collapsed'] = any('may have collapsed' in log.read_text() for log in logs)
        result['curve'] = curve(row, stated, None if resumes else started, args)
        result['cost'] = cost(result['options'])
    result.update(
        status='finished',
        scores=score(row, name, result['options'], args),
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


def hardware() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    lines = Path('/proc/cpuinfo').read_text().splitlines()
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')] or ['an unnamed CPU']
    return f'CPU, {torch.get_num_threads()} of {os.cpu_count()} cores of {names[0]}'


if __name__ == '__main__':
    main()
