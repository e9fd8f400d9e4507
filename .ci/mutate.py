"""Does a notebook notice when what it defines is broken?

    python .ci/mutate.py [NOTEBOOK …] [--sample N] [--seed S] [--jobs 2]

For each public function and method that a notebook exports, its body is replaced by `raise` *in that notebook*, and the
notebook is run from there on. A visible cell must fail: then a reader who edits the definition sees that it matters.
Without names the five lessons are run. The exit status is 1 if less than 95 % are caught, if one that is missed is not
listed with a reason in .ci/mutate_accepted.txt, if a notebook fails unmutated, or if one of `must_catch` is missed.

- Counted: what `#| export` and `#| exports` cells define without an underscore: functions, methods in classes and
  patched ones, properties, class methods, and methods like `__init__` or `__repr__`. Of `#| exporti` cells only patched
  methods.
- Visible: cells without `#| hide`. A hidden cell is run, and its failure is passed over. Cells flagged slow, cuda or
  notest are skipped, as nbdev_test does.
- How: the notebook runs once, in the shell that nbdev_test uses; at each exported cell the process forks, so that the
  cells before it need not run again. A mutant ends at the first visible failure."""
import argparse, ast, json, os, random, select, signal, sys, time, traceback
from collections import namedtuple
from pathlib import Path

from notebooks import code_cells, flags_that_skip, is_exported, is_skipped, is_visible, read_notebook, root

accepted_file = root/'.ci/mutate_accepted.txt'
must_catch = {'00_optimizer': ['run_loop']}  # what an optimizer does here: always part of a sample
enough = .95
environment = dict(OPTIMLOOP_DEVICE='cpu', IN_TEST='1',
                   OMP_NUM_THREADS='1', TORCHINDUCTOR_COMPILE_THREADS='1')  # a fork takes no threads along

Mutant = namedtuple('Mutant', 'notebook name cell source')  # `cell`: the number of the cell whose source is replaced

# -- Mutants

def is_public(name): return not name.startswith('_') or (name.startswith('__') and name.endswith('__'))

def is_patch(f): return any('patch' in ast.unparse(getattr(o, 'func', o)) for o in f.decorator_list)

def patched_class(f):
    "The class whose method a patched function becomes: the annotation of its first argument, or what `patch_to` names"
    calls = [o for o in f.decorator_list if isinstance(o, ast.Call) and 'patch' in ast.unparse(o.func)]
    return ast.unparse(next((o.args[0] for o in calls if o.args), f.args.args[0].annotation))

def functions(body, cls=None):
    "All functions defined in `body`, and in its public classes: (name, node, is it a patched method?)"
    for o in body:
        if isinstance(o, ast.ClassDef) and is_public(o.name): yield from functions(o.body, o.name)
        elif isinstance(o, ast.If | ast.Try): yield from functions([*ast.iter_child_nodes(o)], cls)
        elif isinstance(o, ast.FunctionDef | ast.AsyncFunctionDef) and is_public(o.name):
            owner = patched_class(o) if (patch := is_patch(o)) else cls
            setter = any(ast.unparse(d).endswith('.setter') for d in o.decorator_list)
            yield (f'{owner}.' if owner else '') + o.name + ' (setter)'*setter, o, patch

def start_of(node):
    first = min([node, *getattr(node, 'decorator_list', ())], key=lambda o: o.lineno)
    return first.lineno, node.col_offset

def mutated(source, f):
    "`source` with the body of function `f` replaced by `raise`; its docstring stays"
    doc = ast.get_docstring(f) is not None
    if doc and len(f.body) == 1: (l1, c1), sep = (f.body[0].end_lineno, f.body[0].end_col_offset), '; '
    else: (l1, c1), sep = start_of(f.body[doc]), ''
    lines, last = source.encode().splitlines(keepends=True), f.body[-1]  # columns count bytes
    before = [*lines[:l1-1], lines[l1-1][:c1]]
    after = [lines[last.end_lineno-1][last.end_col_offset:], *lines[last.end_lineno:]]
    return b''.join([*before, f"{sep}raise AssertionError('mutated: {f.name}')".encode(), *after]).decode()

def cell_mutants(cell):
    "(name, mutated source) of everything public that a cell exports"
    if not is_exported(cell): return []
    found = functions(ast.parse(cell.source).body)
    return [(k, mutated(cell.source, f)) for k, f, patch in found if patch or 'exporti' not in cell.directives]

def mutants_of(path, cells):
    name = Path(path).stem
    return [Mutant(name, k, i, s) for i, cell in enumerate(cells) for k, s in cell_mutants(cell)]

# -- Running

def repo_of(path): return next((o for o in Path(path).resolve().parents if (o/'settings.ini').exists()), root)

def new_shell(path):
    "The shell that nbdev_test runs a notebook in, with the notebook's folder and repository to import from"
    from execnb.shell import CaptureShell
    sys.path.insert(0, str(repo_of(path)))
    os.chdir(Path(path).parent)
    return CaptureShell(Path(path).resolve(), mpl_format='png')

def runs(shell, source): return shell.run_cell(source).exception is None

def failures(shell, cells, flags, start=0):
    "Run all cells from `start` on; the numbers of visible ones that fail, as they fail"
    for i in range(start, len(cells)):
        if is_skipped(cells[i], flags): continue
        if not runs(shell, cells[i].source) and is_visible(cells[i]): yield i

def run_mutant(shell, cells, flags, o, known):
    "The first visible cell that fails with mutant `o` and is not one of `known`"
    cells = [*cells[:o.cell], cells[o.cell]._replace(source=o.source), *cells[o.cell+1:]]
    return next((i for i in failures(shell, cells, flags, o.cell) if i not in known), None)

def fork(f, limit=600):
    "Call `f` in a process of its own, which is ended after `limit` seconds: (process, file its result is read from)"
    r, w = os.pipe()
    if pid := os.fork():
        os.close(w)
        return pid, open(r, 'rb')
    signal.alarm(limit)
    try:
        with open(w, 'wb') as out: out.write(json.dumps(f()).encode() + b'\n')
    except BaseException: traceback.print_exc()
    finally: os._exit(0)  # no atexit, no second flush of what the parent has buffered

def result_of(child):
    "What the function that `fork` called returned; 'died' if it did not come to its end"
    pid, f = child
    with f: line = f.readline()
    os.waitpid(pid, 0)
    return json.loads(line) if line else 'died'

class Forks:
    "At most `n` calls at a time, each in a process of its own; `results` by key"
    def __init__(self, n): self.n, self.children, self.results = n, {}, {}
    def add(self, key, f):
        if len(self.children) >= self.n: self.collect()
        self.children[key] = fork(f)
    def collect(self):
        "Wait for the first that is done"
        done, *_ = select.select([f for _, f in self.children.values()], [], [])[0]
        key = next(k for k, (_, f) in self.children.items() if f is done)
        self.results[key] = result_of(self.children.pop(key))
    def collect_all(self):
        while self.children: self.collect()
        return self.results

def walk(path, cells, mutants, jobs, known=()):
    """Run a notebook, and each mutant in a fork of its own from its cell on; then the notebook on to the last cell that
    a mutant made fail, and to its end if a visible cell of its own fails.
    Returns the visible cells that fail unmutated, and for each mutant the first that fails (none: `None`)"""
    shell, flags, broken, forks = new_shell(path), flags_that_skip(repo_of(path)), [], Forks(jobs)
    def _run(start, end): broken.extend(failures(shell, cells[:end], flags, start))
    last = max(o.cell for o in mutants)
    for i in range(last+1):
        for k, o in enumerate(mutants):
            if o.cell == i: forks.add(k, lambda: run_mutant(shell, cells, flags, o, known))
        _run(i, i+1)
    found = [forks.collect_all()[k] for k in range(len(mutants))]
    end = max([o for o in found if isinstance(o, int)], default=last) + 1
    _run(last+1, end)
    if broken: _run(end, len(cells))
    return broken, found

def check_notebook(path, cells, mutants, jobs):
    "As `walk`, in a process of its own; mutants that only showed what fails anyway are run again past those cells"
    broken, found = result_of(fork(lambda: walk(path, cells, mutants, jobs), 3600))
    if again := [k for k, o in enumerate(found) if o in broken]:
        more, new = result_of(fork(lambda: walk(path, cells, [mutants[k] for k in again], jobs, broken), 3600))
        broken, found = sorted({*broken, *more}), [dict(zip(again, new)).get(k, o) for k, o in enumerate(found)]
    return broken, found

# -- Reporting

def read_accepted(path=accepted_file):
    "The things that need not be caught: a dict from `notebook name` to the reason, from lines `notebook name: reason`"
    lines = path.read_text(encoding='utf-8').splitlines() if path.exists() else []
    return dict(o.split(': ', 1) for o in lines if o.strip() and not o.startswith('#'))

def sample_of(mutants, n, seed):
    "`n` of all mutants, those of `must_catch` among them"
    must = [o for o in mutants if o.name in must_catch.get(o.notebook, ())]
    others = [o for o in mutants if o not in must]
    return must + random.Random(seed).sample(others, min(max(n-len(must), 0), len(others)))

def report(path, cells, mutants, broken, found, accepted):
    "Print what became of the mutants of a notebook; returns (caught, missed and not accepted)"
    missed = [o for o, i in zip(mutants, found) if not isinstance(i, int)]
    n, n_caught = len(mutants), len(mutants)-len(missed)
    reason = {o: accepted.get(f'{o.notebook} {o.name}') for o in missed}
    print(f'{Path(path).stem:22} {n:4} public {n_caught:4} caught {n-n_caught:4} not', flush=True)
    for o in broken: print(f'  fails unmutated: cell {cells[o].id}')
    for o in missed: print(f"  not caught: {o.name}  (cell {cells[o.cell].id})  {reason[o] or ''}")
    return n_caught, [o.name for o in missed if not reason[o] or o.name in must_catch.get(o.notebook, ())]

def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('notebooks', nargs='*', help='default: the five lessons')
    p.add_argument('--sample', type=int, help='so many, chosen by chance, rather than all')
    p.add_argument('--seed', default=str(time.time_ns()), help='what the choice follows from; printed')
    p.add_argument('--jobs', type=int, default=2, help='mutants that run at a time')
    p.add_argument('--list', action='store_true', help='only say what would be replaced')
    p.add_argument('--accepted', type=Path, default=accepted_file)
    return p.parse_args()

def main():
    args = options()
    paths = args.notebooks or sorted(root.glob('nbs/0[0-4]_*.ipynb'))
    cells = {Path(o).stem: code_cells(read_notebook(o)) for o in paths}
    mutants = [o for p in paths for o in mutants_of(p, cells[Path(p).stem])]
    if args.list: return print(*[f'{o.notebook} {o.name}' for o in mutants], sep='\n')
    missing = [f'{nb} {k}' for nb in cells for k in must_catch.get(nb, ()) if (nb, k) not in {o[:2] for o in mutants}]
    if args.sample:
        print(f'a sample of {args.sample} of {len(mutants)}: --seed {args.seed}')
        mutants = sample_of(mutants, args.sample, args.seed)
    return judge(paths, cells, mutants, missing, args)

def judge(paths, cells, mutants, missing, args):
    "Run all mutants, report; the exit status"
    os.environ.update(environment)
    import torch, matplotlib.pyplot, execnb.shell  # noqa: F401  once, before all forks
    torch.set_num_threads(1)
    accepted, caught, bad, broken = read_accepted(args.accepted), 0, [*missing], []
    for p in paths:
        name = Path(p).stem
        if not (mine := [o for o in mutants if o.notebook == name]): continue
        fails, found = check_notebook(p, cells[name], mine, args.jobs)
        n, missed = report(p, cells[name], mine, fails, found, accepted)
        caught, bad, broken = caught+n, bad + [f'{name} {o}' for o in missed], broken + fails
    share = caught/max(len(mutants), 1)
    print(f'not caught, and no reason given: {", ".join(bad) or "none"}')
    print(f'{caught} of {len(mutants)} caught ({share:.1%})')
    return bool(bad or broken or (share < enough and not args.sample))

if __name__ == '__main__': sys.exit(main())
