"""Does the house stand?  python .ci/house.py [ROOT]

It prints a line for each finding, `file: cell id: what is wrong, and what to do`, and its exit status is 1 if there is
one. It reads the exported cells of all notebooks, and imports each module once, in the order of the imports. The rules
are the functions marked `@rule`; what they measure by stands first."""
import ast, json, re, subprocess, sys, tokenize
from collections import namedtuple
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from io import StringIO
from pathlib import Path

from notebooks import code_cells, config, flags_that_skip, is_exported, is_skipped, is_visible, read_notebooks, root

floors = [  # from the ground up: folders, and the lessons' modules
    ['basics'], ['foundations'], ['optimizer'], ['callbacks'], ['learner'], ['schedulers'], ['mixed_precision'],
    ['optimizers', 'training'], ['runs'], ['projects'], ['all']]
lessons = ['optimizer', 'callbacks', 'learner', 'schedulers', 'mixed_precision']
max_code_cells, max_exported_lines, max_in_a_row = 70, 300, 4  # of a lesson
max_width = 120  # of an exported line
banned = {'torch._C': 'a fast path belongs upstairs, in optimizers/'}  # in the code of a lesson
event_name = r'(before|after|leave)_\w+|cleanup_fit'
not_ours = {  # private names that tuples and torch give, whatever is called so here
    '_fields', '_replace', '_asdict', '_make', '_modules', '_parameters', '_buffers', '_non_persistent_buffers_set'}

rules = []
def rule(f): rules.append(f); return f

# -- What stands in the cells

@lru_cache(maxsize=None)
def parse(source):
    try: return ast.parse(source)
    except SyntaxError: return ast.Module([], [])  # magics, or what an exercise leaves open

def functions(tree): return [o for o in ast.walk(tree) if isinstance(o, ast.FunctionDef | ast.AsyncFunctionDef)]
def is_patch(f): return any('patch' in ast.unparse(getattr(o, 'func', o)) for o in f.decorator_list)
def is_private(name): return name.startswith('_') and not name.endswith('__')
def exported(nb): return [o for o in nb.cells if is_exported(o)]
def folder(module): return module.rpartition('.')[0]

def floor(module):
    "The number of the floor that a module is on, by its folder or, of a lesson, by its own name; None if it is on none"
    name = module.split('.')[0]
    return next((i for i, names in enumerate(floors) if name in names), None)

Import = namedtuple('Import', 'module names node nested')  # `names` are None for `import module`

class House:
    "All notebooks of a repository, and what the rules ask of them"
    def __init__(self, root):
        self.root, self.lib, self.notebooks = root, config(root)['lib_name'], read_notebooks(root)
        self.modules = {o.module: o for o in self.notebooks if o.module}
        self.lessons = [self.modules[o] for o in lessons if o in self.modules]

    def exported(self): return [(nb, c) for nb in self.modules.values() for c in exported(nb)]
    def exported_nodes(self): return [(nb, c, o) for nb, c in self.exported() for o in ast.walk(parse(c.source))]
    def exported_functions(self): return [(nb, c, f) for nb, c in self.exported() for f in functions(parse(c.source))]
    def exported_imports(self): return [(nb, c, o) for nb, c in self.exported() for o in self.imports(c)]

    def imports(self, cell):
        "All imports of our modules in a cell"
        tree = parse(cell.source)
        inner = {id(n) for f in functions(tree) for n in ast.walk(f)}
        for o in ast.walk(tree):
            if isinstance(o, ast.Import): found = [(a.name, None) for a in o.names]
            else: found = [(o.module, [a.name for a in o.names])] if isinstance(o, ast.ImportFrom) and o.module else []
            for module, names in found: yield from self._imports(module, names, o, id(o) in inner)

    def _imports(self, name, names, node, nested):
        if name != self.lib and not name.startswith(self.lib + '.'): return
        module = name[len(self.lib)+1:]  # empty for the package itself, which imports all
        path = {o: f'{module}.{o}'.lstrip('.') for o in names or ()}  # `from lib.folder import module`
        for o in path.values():
            if o in self.modules: yield Import(o, None, node, nested)
        rest = [o for o in path if path[o] not in self.modules]
        if rest or names is None: yield Import(module or 'all', rest or None, node, nested)

    def arrows(self, nested=True):
        "From each module to the set of those that it imports; with or without imports inside functions"
        res = {m: set() for m in self.modules}
        for nb, _, o in self.exported_imports(): res[nb.module] |= {o.module} if nested or not o.nested else set()
        return res

def find(root):
    "All findings as (path, cell id, what)"
    house = House(root)
    return [(nb.path.relative_to(root), cell, what) for f in rules for nb, cell, what in f(house)]

# -- Rules about imports: each yields (notebook, cell id, what)

@rule
def every_module_is_on_a_floor(house):
    for m, nb in house.modules.items():
        if floor(m) is not None: continue
        yield nb, nb.cells[0].id, f'{m} is on no floor; move it, or name its folder in .ci/house.py'

@rule
def arrows_point_down(house):
    for nb, c, o in house.exported_imports():
        here, there = floor(nb.module), floor(o.module)
        if None in (here, there) or there <= here: continue
        yield nb, c.id, f'imports {o.module}, a floor above it; move what it needs down, or register it from above'

@rule
def lessons_look_down(house):
    for nb in house.lessons:
        for c, o in [(c, o) for c in code_cells(nb) if not is_exported(c) for o in house.imports(c)]:
            if (floor(o.module) or 0) <= floor(nb.module): continue
            yield nb, c.id, f'a lesson uses {o.module}, which comes after it; use what it has, or move this upstairs'

@rule
def no_circles(house):
    try: TopologicalSorter(house.arrows()).prepare()
    except CycleError as e:
        nb, circle = house.modules[e.args[1][0]], ' <- '.join(e.args[1])
        yield nb, nb.cells[0].id, f'a circle of imports: {circle}; move what both need into a module below'

@rule
def imports_at_the_top(house):
    for nb, c, o in house.exported_imports():
        if o.nested: yield nb, c.id, f'imports {o.module} inside a function; import it in the first exported cell'
        elif c != exported(nb)[0]: yield nb, c.id, f'imports {o.module} below the first exported cell; move it there'

@rule
def no_imports_by_name(house):
    for nb, c, o in house.exported_nodes():
        if not isinstance(o, ast.Call) or not re.search(r'\b(import_module|__import__)$', ast.unparse(o.func)): continue
        if any(isinstance(a, ast.Constant) and re.match(rf'{house.lib}(\.|$)', str(a.value)) for a in o.args):
            yield nb, c.id, f'imports by name: {ast.unparse(o)}; write an import in the first exported cell'

@rule
def stars_of_lessons_only(house):
    for nb, c, o in house.exported_imports():
        if o.names == ['*'] and nb.module != 'all' and not {nb.module, o.module} <= {*lessons}:
            yield nb, c.id, f'takes everything from {o.module}; name what is needed'

@rule
def no_private_imports(house):
    for nb, c, o in house.exported_imports():
        for name in filter(is_private, o.names or ()):
            if folder(nb.module) == folder(o.module): continue
            yield nb, c.id, (f'takes the private {name} from {o.module}; make it public there, with a name and a '
                             'docstring (#| exporti if no user needs it)')

# -- Rules about what modules do to each other

def is_stored(o): return isinstance(o.ctx, ast.Store)

def given_names(o):
    "The names that a node of the syntax tree gives to attributes"
    if isinstance(o, ast.Attribute): return [o.attr] if is_stored(o) else []
    if isinstance(o, ast.FunctionDef): return [o.name]
    if isinstance(o, ast.ClassDef): return [n.id for n in ast.walk(o) if isinstance(n, ast.Name) and is_stored(n)]
    return [o.value] if isinstance(o, ast.Constant) and isinstance(o.value, str) else []  # `setattr`, `__slots__`

def owners(house):
    "From each private attribute to the folders of the modules that define it"
    res = {}
    for nb, _, o in house.exported_nodes():
        for name in filter(is_private, given_names(o)): res.setdefault(name, set()).add(folder(nb.module))
    return res

def classes(house):
    "From each class of ours to the folder of its module"
    return {o.name: folder(nb.module) for nb, _, o in house.exported_nodes() if isinstance(o, ast.ClassDef)}

def own_selves(tree, where, here):
    "The nodes `self` and `cls` in `tree`, but for methods that are patched into a class of another folder"
    foreign = [f for f in functions(tree) if is_patch(f) and f.args.args and f.args.args[0].annotation
               and where.get(ast.unparse(f.args.args[0].annotation), here) != here]
    outside = {id(o) for f in foreign for o in ast.walk(f)}
    return {id(o) for o in ast.walk(tree) if isinstance(o, ast.Name) and o.id in ('self', 'cls')} - outside

@rule
def no_private_attributes(house):
    whose, where = owners(house), classes(house)
    for nb, c in house.exported():
        tree, here = parse(c.source), folder(nb.module)
        mine = own_selves(tree, where, here)
        for o in [o for o in ast.walk(tree) if isinstance(o, ast.Attribute) and is_private(o.attr)]:
            if o.attr in not_ours or id(o.value) in mine: continue
            if here in whose.get(o.attr, [here]): continue
            names = ', '.join(sorted(k or 'the lessons' for k in whose[o.attr]))
            yield nb, c.id, f'uses {ast.unparse(o)}, private to {names}; make a small public method or attribute there'

probe = r'''
import importlib, json, sys, types
root, lib, *modules = json.loads(sys.stdin.read())
sys.path.insert(0, root)
package = sys.modules[lib] = types.ModuleType(lib)  # without its __init__, which imports all at once
package.__path__, package.__file__ = [f'{root}/{lib}'], f'{root}/{lib}/__init__.py'
is_ours = lambda o: str(getattr(o, '__module__', '')).startswith(lib + '.')
ignored = '__doc__ __module__ __dict__ __weakref__ __abstractmethods__ _abc_impl __annotations__ __signature__'.split()
def ours(): return {k: o for k, o in [*sys.modules.items()] if k.startswith(lib + '.')}
def classes(): return {o for m in ours().values() for o in vars(m).values() if isinstance(o, type) and is_ours(o)}
def snapshot():  # methods, and functions of modules
    res = {(o.__module__, o.__qualname__, k): v for o in classes() for k, v in vars(o).items()
           if k not in ignored and (callable(v) or hasattr(v, '__get__'))}
    return res | {(m, k): v for m, o in ours().items() for k, v in vars(o).items()
                  if callable(v) and getattr(v, '__module__', '') == m}
def hidden(cls, name): return next((b for b in cls.__mro__[1:] if name in vars(b) and is_ours(b)), None)
for m in modules:
    old, had = snapshot(), {c: {*vars(c)} for c in classes()}
    importlib.import_module(f'{lib}.{m}')
    new = snapshot()
    for k in old:
        if new.get(k) is not old[k]: print(json.dumps([m, 'replaces ' + '.'.join(k)]))
    for c, names in had.items():
        for k in {*vars(c)} - names - {*ignored}:
            if (b := hidden(c, k)) is None or k not in had.get(b, ()): continue
            print(json.dumps([m, f'puts {c.__qualname__}.{k} before {b.__qualname__}.{k}']))
'''

@rule
def no_module_changes_another(house):
    "Each module is imported by itself, those below it first; the functions of the others must stay what they are"
    try: order = [*TopologicalSorter(house.arrows(nested=False)).static_order()]
    except CycleError: return  # told by `no_circles`
    order = [o for o in order if Path(house.root, house.lib, *o.split('.')).with_suffix('.py').exists()]
    given = json.dumps([str(house.root), house.lib, *order])
    run = subprocess.run([sys.executable, '-c', probe], input=given, capture_output=True, text=True)
    for m, does in map(json.loads, run.stdout.splitlines()):
        nb = house.modules[m]
        yield nb, nb.cells[0].id, f'importing {m} {does}; use an event, a callback or a registry instead'
    if run.returncode:
        why = run.stderr.strip().splitlines()[-1]
        yield house.notebooks[0], '', f'the modules cannot be imported one by one: {why}'

# -- Rules about lessons

def exported_lines(nb):
    lines = [o for c in exported(nb) for o in c.source.splitlines()]
    return [o for o in lines if o.strip() and not re.match(r'\s*#\s*\|', o)]

@rule
def lessons_are_short(house):
    for nb in house.lessons:
        cells, lines, first = len(code_cells(nb)), len(exported_lines(nb)), nb.cells[0].id
        for n, most, what in (cells, max_code_cells, 'code cells'), (lines, max_exported_lines, 'exported lines'):
            if n > most: yield nb, first, f'{n} {what} of {most}; move a section upstairs'

@rule
def lessons_show_what_they_export(house):
    flags = flags_that_skip(house.root)
    for nb in house.lessons:
        row = 0
        for c in code_cells(nb):
            if is_exported(c): row += 1
            elif is_visible(c) and not is_skipped(c, flags): row = 0
            if is_exported(c) and row == max_in_a_row+1:
                yield nb, c.id, f'the {row}th exported cell in a row that no visible cell runs; show one at work before'

@rule
def lessons_stay_plain(house):
    for nb in house.lessons:
        for c in code_cells(nb):
            for word, why in banned.items():
                if re.search(rf'\b{re.escape(word)}\b', c.source): yield nb, c.id, f'{word} in a lesson: {why}'

# -- Rules about pages

@rule
def lines_fit(house):
    for nb, c in house.exported():
        for o in c.source.splitlines():
            if len(o) <= max_width: continue
            yield nb, c.id, f'a line of {len(o)} characters, of {max_width}; break it: {o.strip()[:50]}…'

@rule
def title_stands_alone(house):
    for nb in house.notebooks:
        if not (c := next((o for o in nb.cells if o.kind == 'markdown'), None)): continue
        lines = [o for o in c.source.splitlines() if o.strip()]
        if lines and lines[0].startswith('# ') and len(lines) == 2 and lines[1].startswith('> '): continue
        yield nb, c.id, 'the first text must be `# Title` and `> line` alone: nbdev drops that cell; move the rest'

def solutions(nb):
    "The code cells below a heading Solutions, up to the next heading as high"
    level = 0
    for c in nb.cells:
        if heads := re.findall(r'^(#+) +(.*?) *$', c.source, re.M) if c.kind == 'markdown' else []:
            if level and len(heads[0][0]) <= level: level = 0
            if heads[-1][1] == 'Solutions': level = len(heads[-1][0])
        elif level and c.kind == 'code' and not is_exported(c) and is_visible(c): yield c

@rule
def solutions_are_folded(house):
    for nb in house.notebooks:
        for c in solutions(nb):
            if c.metadata.get('jupyter', {}).get('source_hidden'): continue
            yield nb, c.id, 'a solution that JupyterLab shows; set its metadata to {"jupyter": {"source_hidden": true}}'

def parameter_comments(source, f):
    "The comments beside the parameters of function `f`, which has a line for each"
    args = [o for o in ast.walk(f.args) if isinstance(o, ast.arg)]
    lines = {o.end_lineno for o in args} if any(o.lineno > f.lineno for o in args) else ()
    tokens = tokenize.generate_tokens(StringIO(source).readline)
    return [o.string for o in tokens if o.type == tokenize.COMMENT and o.start[0] in lines]

@rule
def no_backticks_beside_parameters(house):
    for nb, c, f in house.exported_functions():
        for o in parameter_comments(c.source, f):
            if '`' not in o: continue
            yield nb, c.id, f'backticks beside a parameter of {f.name} become raw links; take them out: {o}'

@rule
def handlers_are_described(house):
    for nb, c, f in house.exported_functions():
        if not is_patch(f) or not re.fullmatch(event_name, f.name) or ast.get_docstring(f): continue
        yield nb, c.id, f'the patched {f.name} has no docstring: the site says "Call self as a function."; write a line'

def main():
    found = find(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else root)
    for path, cell, what in found: print(f'{path}: {cell}: {what}')
    print(f'{len(rules)} rules, {len(found)} findings')
    return bool(found)

if __name__ == '__main__': sys.exit(main())
