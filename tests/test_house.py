"""The house check, on small repositories: each rule finds what breaks it, and nothing in a house that stands."""
import json, sys

import house, pytest

def code(source, **metadata):
    return dict(cell_type='code', metadata=metadata, outputs=[], execution_count=None, source=source)
def text(source): return dict(cell_type='markdown', metadata={}, source=source)

def package_code(cells): return '\n'.join(o['source'] for o in cells if o['source'].startswith('#| export'))

def build(root, **modules):
    "A repository with a notebook and a module for each name; `a__b` is `a.b`"
    (root/'settings.ini').write_text('[DEFAULT]\nlib_name = lib\nnbs_path = nbs\ntst_flags = notest slow cuda\n')
    (root/'lib').mkdir()
    (root/'lib/__init__.py').write_text('from . import all')
    for name,cells in modules.items():
        module,cells = name.replace('__', '.'),[text('# Title\n\n> One line') if o is None else code(o)
            if isinstance(o, str) else o for o in cells]
        path = module.replace('.', '/')
        for folder in ('nbs','lib'): (root/folder/path).parent.mkdir(parents=True, exist_ok=True)
        cells = [{'id': f'{i:08x}', **o} for i,o in enumerate([code(f'#| default_exp {module}'), *cells])]
        (root/f'nbs/{path}.ipynb').write_text(json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5)))
        (root/f'lib/{path}.py').write_text(package_code(cells))
    return root

def find(root, **modules): return [what for _,_,what in house.find(build(root, **modules))]

good = dict(
    basics__data=[None,
    '#| export\nclass Data:\n    def __init__(self): self._n = 1\n    def f(self): return self._n\ndef _g(): pass'],
    optimizer=[None, '#| export\nfrom lib.basics.data import Data',
    '#| export\nclass Optimizer:\n    def step(self): return Data()', 'Optimizer().step()'],
    callbacks=[None, '#| export\nfrom lib.optimizer import *',
    '#| export\nclass Runner:\n    def run(self): return self._run\n    def _run(self): return 1', 'Runner().run()'],
    training__more=[None, '#| export\nfrom fastcore.basics import patch\nfrom lib.callbacks import Runner',
    '#| export\n@patch\ndef more(self:Runner):\n    import json\n    return json',
        '#| hide\nfrom lib.all import *'],
    all=[None, '#| export\nfrom lib.optimizer import *\nfrom lib.callbacks import *\nfrom lib.training import more'])

def test_a_house_that_stands(tmp_path): assert find(tmp_path, **good)==[]

bad = [ # module, its cells, what is said
    ('optimizer', ['#| export\nfrom lib.callbacks import Runner'], 'a floor above'),
    ('optimizer', ['#| export\nimport lib.training.more'], 'a floor above'),
    ('optimizer', ['#| export\nfrom lib.training import more'], 'a floor above'),
    ('basics__other', ['#| export\nfrom lib import optimizer'], 'a floor above'),
    ('basics__other', ['#| export\nimport lib'], 'a floor above'),
    ('optimizer', ['from lib.all import *'], 'comes after it'),
    ('callbacks', ['#| hide\nfrom lib.training.more import more'], 'comes after it'),
    ('attic__new', ['#| export\nx = 1'], 'on no floor'),
    ('training__other', ['#| export\nx = 1', '#| export\nfrom lib.optimizer import Optimizer'],
    'below the first exported cell'),
    ('training__other', ['#| export\ndef f():\n    from lib.optimizer import Optimizer'], 'inside a function'),
    ('training__other', ['#| export\nclass A:\n    def f(self): import lib.optimizer'], 'inside a function'),
    ('training__other', ['#| export\nfrom importlib import import_module\nm = import_module("lib.optimizer")'],
    'by name'),
    ('training__other', ['#| export\nfrom lib.optimizer import *'], 'name what is needed'),
    ('training__other', ['#| export\nfrom lib.basics.data import _g'], 'takes the private _g'),
    ('training__other', ['#| export\nfrom lib.basics.data import Data\ndef f(): return Data()._n'], 'uses Data()._n'),
    ('training__other', ['#| export\nfrom fastcore.basics import patch\nfrom lib.callbacks import Runner',
    '#| export\n@patch\ndef other(self:Runner): return self._run()'], 'uses self._run'),
    ('training__other',
    ['#| export\nfrom lib.optimizer import Optimizer\ndef step(self): pass\nOptimizer.step = step'],
    'replaces lib.optimizer.Optimizer.step'),
    ('training__other', ['#| export\nfrom fastcore.basics import patch\nfrom lib.optimizer import Optimizer',
    '#| export\n@patch\ndef step(self:Optimizer): pass'], 'replaces lib.optimizer.Optimizer.step'),
    ('training__other', ['#| export\nfrom lib import basics\nimport lib.basics.data as d\nd._g = d.Data = None'],
    'replaces lib.basics.data'),
    ('training__other', ['#| export\nx = ' + '1'*120], 'a line of 124 characters'),
    ('optimizer', ['x = 1']*70, '71 code cells of 70'),
    ('optimizer', ['#| exports\n' + 'x = 1\n\n'*301], '301 exported lines of 300'),
    ('optimizer', ['#| export\nx = 1']*3 + ['#| hide\nx', '#| slow\nx'] + ['#| exports\nx = 1']*2,
    'the 5th exported cell in a row'),
    ('optimizer', ['from torch._C import x'], 'torch._C in a lesson'),
    ('training__other', [text('# Title\n\n> One line\n\nMore')], 'alone: nbdev'),
    ('training__other', [text('## No title')], 'alone: nbdev'),
    ('training__other', [None, text('### Solutions'), 'x = 1'], 'JupyterLab shows'),
    ('training__other', ['#| export\ndef f(\n    a, # The `a`\n): pass'], 'backticks beside a parameter of f'),
    ('training__other', ['#| export\n@patch\ndef before_fit(self:A): pass'], 'has no docstring'),
]

@pytest.mark.parametrize('module,cells,said', bad, ids=[f'{m}: {said}' for m,_,said in bad])
def test_what_breaks_a_rule(tmp_path, module, cells, said):
    found = find(tmp_path, **{**good, module: cells})
    assert any(said in o for o in found), found

fine = [
    ('optimizer', ['#| export\nx = 1']*4 + ['x'] + ['#| exports\nx = 1']*4),
    ('training__other', [None, text('## Exercises\n\n### Solutions'), code('x = 1', jupyter=dict(source_hidden=True)),
    '#| hide\nx = 1', '#| export\nx = 1', text('## After'), 'x = 1']),
    ('training__other', ['#| export\ndef f(\n    a, # The a\n): # `a`\n    "The `a`"']),
    ('training__other', ['#| export\nfrom collections import namedtuple\nx = namedtuple("X", "a")(1)._replace(a=2)']),
    ('training__other', ['#| export\nfrom fastcore.basics import patch\nclass A:\n    def before_epoch(self): pass',
    '#| export\n@patch\ndef before_fit(self:A):\n    "What it does"']),
    ('basics__other', ['#| export\nfrom lib.basics.data import _g, Data\nx = Data()._n']),
    ('training__other', ['#| export\nfrom fastcore.basics import patch\nfrom lib.optimizer import Optimizer',
    '#| export\n@patch\ndef other(self:Optimizer): pass']),
    ('index', [None, text('no module')]),
]

@pytest.mark.parametrize('module,cells', fine)
def test_what_breaks_none(tmp_path, module, cells):
    cells = cells if None in cells else [None, *cells]
    root = build(tmp_path, **{**good, module: cells})
    if module=='index':
        (root/'nbs/index.ipynb').write_text((root/'nbs/index.ipynb').read_text().replace('#| default_exp index', ''))
    assert house.find(root)==[]

def test_circles(tmp_path):
    found = find(tmp_path, **good, training__a=[None, '#| export\nfrom lib.training.b import x'],
        training__b=[None, '#| export\nfrom lib.training.a import x'])
    assert any('a circle of imports' in o for o in found)

def test_modules_that_cannot_be_imported(tmp_path):
    found = find(tmp_path, **good, training__a=[None, '#| export\nfrom lib.basics.data import missing'])
    assert any('cannot be imported one by one: ImportError' in o for o in found)

def test_each_finding_names_its_cell(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv',
        ['house.py', str(build(tmp_path, **good, training__other=[None, '#| export\nx = ' + '1'*120]))])
    assert house.main() and capsys.readouterr().out.startswith(
        'nbs/training/other.ipynb: 00000002: a line of 124 characters')
