"""The mutation check, on small notebooks: what it replaces, what counts as caught, and what it says of it."""
import ast, json, sys

import mutate, pytest
from notebooks import read_cell

def cell(source, i=0):
    return dict(cell_type='code', id=f'{i:08x}', metadata={}, outputs=[], execution_count=None, source=source)
def notebook(path, *sources):
    "A notebook with these code cells"
    nb = dict(cells=[cell(o, i) for i,o in enumerate(sources)], metadata={}, nbformat=4, nbformat_minor=5)
    path.write_text(json.dumps(nb))
    return path

@pytest.fixture
def run(monkeypatch, capsys):
    "Call the check: what it prints, and its exit status"
    for k,v in mutate.environment.items(): monkeypatch.setenv(k, v) # put back after the test
    monkeypatch.setattr('torch.set_num_threads', lambda n: None)
    def _run(path, *args):
        monkeypatch.setattr(sys, 'argv', ['mutate.py', str(path), '--accepted', str(path.with_suffix('.txt')), *args])
        rc = mutate.main()
        return capsys.readouterr().out, rc
    return _run

def names(source): return [k for k,_ in mutate.cell_mutants(read_cell(0, cell(source)))]

@pytest.mark.parametrize('source,expected', [
    ('#| export\ndef f(): pass\ndef _g(): pass', ['f']),
    ('#| exports\nclass A:\n    def __init__(self): self.a = 1\n    def f(self): pass\n    def _g(self): pass',
    ['A.__init__', 'A.f']),
    ('#| export\n@patch\ndef f(self:A): pass', ['A.f']),
    ('#| exporti\n@patch\ndef f(self:A): pass\ndef g(): pass', ['A.f']),
    ('#| export\n@patch(as_prop=True)\n@delegates(B.fit)\ndef f(self:A): pass', ['A.f']),
    ('#| export\n@patch_to(A)\ndef f(self): pass', ['A.f']),
    ('#| export\nclass _A:\n    def f(self): pass', []),
    ('#| export\nclass A:\n    @property\n    def f(self): return 1\n    @f.setter\n    def f(self, v): pass',
    ['A.f', 'A.f (setter)']),
    ('#| export\nif True:\n    def f(): return lambda: 1', ['f']),
    ('def f(): pass', []), ('#| hide\ndef f(): pass', []),
])
def test_what_is_replaced(source, expected): assert names(source)==expected

@pytest.mark.parametrize('source', [
    'def f(): return 1', 'def f(): return 1 # why', 'def f():\n    "doc"\n    return 1\nx = 1', 'def f(): "doc"',
    'def f():\n    # why\n    if 1:\n        return 1\n\nx = 1',
    'def f(\n    a, # é\n    b=1): # returns\n    "dé"\n    return a+b',
    'def f():\n    @wraps\n    def g(): return 1\n    return g',
    'class A:\n    def f(self): x = "é"; return x\n    y = 1',
    'def f():\n    """a\n    b"""\n    yield 1'])
def test_only_the_body_changes(source):
    def find(text):
        tree = ast.parse(text)
        return tree, next(o for o in ast.walk(tree) if isinstance(o, ast.FunctionDef) and o.name=='f')
    (old,f), (new,g) = find(source), find(mutate.mutated(source, find(source)[1]))
    assert isinstance(g.body[-1], ast.Raise) and len(g.body)==1 + bool(ast.get_docstring(f))
    assert ast.get_docstring(f)==ast.get_docstring(g)
    f.body = g.body = [ast.Pass()]
    assert ast.unparse(old)==ast.unparse(new)

lesson = ['#| default_exp lesson',
    '#| export\ndef seen(): return 1\ndef hidden(): return 1\ndef unseen(): return 1\ndef swallowed(): return 1',
          '#| hide\nassert hidden()==1', 'assert seen()==1', 'try: swallowed()\nexcept Exception: pass',
          '#| export\nclass A:\n    def f(self): return seen()', '#| slow\nunseen()', "a = A().f()\na",
          '#| eval: false\nunseen()']

def test_only_visible_cells_count(tmp_path, run):
    out, rc = run(notebook(tmp_path/'lesson.ipynb', *lesson))
    assert rc==1 and '5 public    2 caught    3 not' in out
    assert [o.split()[2] for o in out.splitlines() if 'not caught:' in o]==['hidden', 'unseen', 'swallowed']

def test_a_reason_is_enough_for_few(tmp_path, run):
    path = notebook(tmp_path/'lesson.ipynb', '#| export\n' + '\n'.join(f'def f{i}(): return {i}' for i in range(20)),
        '\n'.join(f'f{i}()' for i in range(19)))
    assert run(path)[1]==1
    path.with_suffix('.txt').write_text('# why\nlesson f19: shown in the next lesson\n')
    out, rc = run(path)
    assert rc==0 and 'shown in the next lesson' in out and '(95.0%)' in out

def test_too_many_reasons(tmp_path, run):
    path = notebook(tmp_path/'lesson.ipynb', '#| export\ndef f(): return 1\ndef g(): return 1', 'f()')
    path.with_suffix('.txt').write_text('lesson g: why\n')
    assert run(path)[1]==1

def test_a_cell_that_fails_anyway_shows_nothing(tmp_path, run):
    out, rc = run(notebook(tmp_path/'lesson.ipynb', '#| export\ndef f(): return 1\ndef g(): return 1', 'g.missing',
        'f()', 'f.missing'))
    assert rc==1 and out.count('fails unmutated')==2 and '1 caught' in out and 'not caught: g ' in out

def test_a_sample_is_what_the_seed_says(tmp_path, run):
    path = notebook(tmp_path/'lesson.ipynb', '#| export\n' + '\n'.join(f'def f{i}(): return {i}' for i in range(9)),
        '\n'.join(f'f{i}()' for i in range(9)))
    out, rc = run(path, '--sample', '3', '--seed', 'a')
    assert rc==0 and '3 public    3 caught' in out and '--seed a' in out

def test_the_loop_must_be_caught(tmp_path, run):
    "Of an optimizer that does not run the loop that its lesson defines"
    path = notebook(tmp_path/'00_optimizer.ipynb', '#| export\ndef run_loop(opt): opt.n = 1',
        '#| export\ndef step(opt): opt.n = 1', 'class Opt: pass\nopt = Opt()\nstep(opt)\nassert opt.n==1')
    path.with_suffix('.txt').write_text('00_optimizer run_loop: no reason is good enough\n')
    out, rc = run(path, '--sample', '1')
    assert rc==1 and 'not caught: run_loop' in out
    out, rc = run(notebook(path, '#| export\ndef step(opt): opt.n = 1', 'step(step)'))
    assert rc==1 and 'run_loop' in out

def test_a_mutant_that_dies_is_not_caught(tmp_path, run):
    out, rc = run(notebook(tmp_path/'lesson.ipynb', '#| export\ndef f(): return 1',
        'import os\ntry: f()\nexcept AssertionError: os._exit(3)'))
    assert rc==1 and 'not caught: f ' in out
