"""Quality against cost: LPIPS and Frechet distance over minutes of training and over multiply-adds of a face.

Drawn from the curves of score files (scripts/reproduce.py --val-gt) for scripts/results_page.py, a picture for each
budget and scale beside the page. A point is a checkpoint that was measured; nothing is drawn beyond first and last.
"""

from pathlib import Path

from score_files import ON_GPU, Run, Runs, cost_of, stages

METRICS = {'lpips': 'LPIPS', 'frechet_alex': 'frechet_alex', 'frechet_alex_real': 'frechet_alex of real faces'}
COSTS = {'minutes': 'minutes of training', 'multiply_adds': 'multiply-adds of a face, 10^9'}
STYLES = ('-', '--', ':')  # that tell rows of one colour apart
COLOURS = 10  # of matplotlib's cycle

Points = dict[str, list[tuple[float, float]]]  # of a run's name: cost and quality


def draw_costs(runs: Runs, part: str, page: Path) -> list[str]:
    """Write the pictures of a part of the page beside it, and return their names; none where no run has a curve."""
    names = []
    for scale in (4, 8):
        found = [run for each in runs.values() for run in each if run.get('curve') and run['options']['scale'] == scale]
        panels = {(metric, cost): points(found, metric, cost) for metric in METRICS for cost in COSTS}
        panels = {key: each for key, each in panels.items() if each}
        if panels:
            names.append(f'{page.stem}_cost_{part.replace(ON_GPU, "_gpu")}_x{scale}.png')
            draw(panels, page.with_name(names[-1]), f'x{scale}, budget: {part}')
    return names


def points(runs: list[Run], metric: str, cost: str) -> Points:
    """What was measured, by the name of the run; runs without it are left out."""
    found = {}
    for run in runs:
        there = [point for point in run['curve'] if point.get(metric) is not None]
        if cost == 'minutes':
            there = [(point['minutes'], point[metric]) for point in there if point['minutes'] is not None]
        else:
            multiply_adds = cost_of(run)[1] / 1e9
            full = full_scale_from(run)
            there = [(multiply_adds, point[metric]) for point in there if point['iteration'] > full]
        if there:
            found[run['options']['name']] = there
    return found


def full_scale_from(run: Run) -> int:
    """The iteration of the row after which its network restores at the full scale."""
    train = run['options']['train']
    grow_at = train.get('sr', train).get('grow_at')
    if not grow_at:
        return 0
    earlier = sum(opt['train']['total_iter'] for opt in run.get('earlier', []))
    return earlier + sum(stages(run['options'])[:-1]) + grow_at[-1]


def draw(panels: dict[tuple[str, str], Points], path: Path, title: str) -> None:
    """One panel for each metric and cost that there is, logarithmic but for minutes, one line for each run."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # of facexlib's needs; no display is asked for
    from matplotlib.figure import Figure

    metrics = [metric for metric in METRICS if any(key[0] == metric for key in panels)]
    figure = Figure(figsize=(11, 4 * len(metrics)), layout='constrained')
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    every = sorted({name for each in panels.values() for name in each})
    axes = figure.subplots(len(metrics), len(COSTS), squeeze=False, sharey='row')
    for line, metric in enumerate(metrics):
        for column, (cost, label) in enumerate(COSTS.items()):
            axis = axes[line][column]
            axis.set(xlabel=label, ylabel=METRICS[metric], yscale='log')
            for name, there in panels.get((metric, cost), {}).items():
                number = every.index(name)
                style = dict(color=f'C{number % COLOURS}', linestyle=STYLES[number // COLOURS % len(STYLES)])
                axis.plot(*zip(*there), marker='.', label=name, **style)
                axis.plot(*there[-1], marker='o', color=style['color'])
            axis.yaxis.set_major_formatter('{x:g}')
            axis.yaxis.set_minor_formatter('{x:g}')
            axis.grid(alpha=0.3, which='both')
    handles = {label: handle for axis in axes.flat for handle, label in zip(*axis.get_legend_handles_labels())}
    figure.legend(handles.values(), handles.keys(), loc='outside right upper', fontsize='small')
    figure.savefig(path, dpi=100, metadata={'Software': None})
