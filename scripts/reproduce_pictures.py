"""Sheets of what the rows of scripts/reproduce.py restored and degraded."""

from pathlib import Path

from selfsr_plugin.pictures import Images, draw_sheet, write_picture

from reproduce_baselines import TABLE1, TABLE2
from reproduce_rows import TABLE3, TABLE4

PICTURED = 8  # faces on a sheet


def draw_pictures(seed: int) -> None:
    """Sheets of what there is: LR, bicubic, every row of the table, HR; and what stage 1 makes of clean LR faces."""
    sheets = {
        'table1': ('data/test_clean_x8', 'bicubic_x8', (*TABLE1, 'unpaired_full', 'paired_full'), 'data/test_gt_x8'),
        'table2': ('data/test_lq', 'bicubic_x4', (*TABLE2, 'ff_idt'), None),
        'table3': ('data/test_lq', 'bicubic_x4', TABLE3, None),
    }
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
