"Notebooks and their directives, as the checks read them."
import configparser, json, re
from collections import namedtuple
from pathlib import Path

root = Path(__file__).resolve().parent.parent

Cell = namedtuple('Cell', 'id kind source directives metadata')
Notebook = namedtuple('Notebook', 'path module cells')  # `module` is what `#| default_exp` says

def config(root):
    "What settings.ini says"
    ini = configparser.ConfigParser(delimiters=['='], interpolation=None)
    ini.read(root/'settings.ini', encoding='utf-8')
    return ini['DEFAULT']

def flags_that_skip(root): return {*config(root).get('tst_flags', 'notest slow cuda').split()}

def directives(source):
    "The `#|` lines at the top of a cell: a dict from name to value"
    head = re.match(r'(\s*(#.*)?(\n|$))*', source)[0]
    return {k: v.strip() for k, v in re.findall(r'^\s*#\s*\|\s*([\w-]+)\s*:?[ \t]*(.*)$', head, re.M)}

def read_cell(i, o):
    source, kind = ''.join(o['source']), o['cell_type']
    return Cell(o.get('id', str(i)), kind, source, directives(source) if kind == 'code' else {}, o.get('metadata', {}))

def read_notebook(path):
    raw = json.loads(Path(path).read_text(encoding='utf-8'))
    cells = [read_cell(i, o) for i, o in enumerate(raw['cells'])]
    modules = [o.directives['default_exp'] for o in cells if 'default_exp' in o.directives]
    return Notebook(Path(path), next(iter(modules), None), cells)

def read_notebooks(root):
    "All notebooks of a repository, without those that nbdev passes over"
    paths = sorted(Path(root, config(root).get('nbs_path', 'nbs')).rglob('*.ipynb'))
    return [read_notebook(o) for o in paths if not any(p.startswith(('.', '_')) for p in o.relative_to(root).parts)]

def code_cells(nb): return [o for o in nb.cells if o.kind == 'code']

def is_exported(cell): return bool({'export', 'exports', 'exporti'} & {*cell.directives})

def is_visible(cell): return 'hide' not in cell.directives and cell.directives.get('include') != 'false'

def is_skipped(cell, flags):
    "Does nbdev_test pass over it?"
    return bool(flags & {*cell.directives}) or cell.directives.get('eval') == 'false' or 'nbdev_export(' in cell.source
