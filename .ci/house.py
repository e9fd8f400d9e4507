"""Does the house stand?  python .ci/house.py [ROOT]   One line a finding: `file: cell id: what is wrong, and what to do`.

It reads the exported cells of all notebooks, and imports each module once in the order of the imports. The exit status
is 1 if there is a finding. The rules are the functions at the end that are marked `@rule`; what they measure by stands first."""
import ast, configparser, json, re, subprocess, sys, tokenize
from collections import namedtuple
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from io import StringIO
from pathlib import Path

floors = [['basics'], ['foundations'], ['optimizer'], ['callbacks'], ['learner'], ['schedulers'], ['mixed_precision'],
          ['optimizers', 'training'], ['runs'], ['projects'], ['all']]  # from the ground up: folders, and the lessons' modules
lessons = ['optimizer', 'callbacks', 'learner', 'schedulers', 'mixed_precision']
max_code_cells, max_exported_lines, max_in_a_row = 70, 300, 4  # of a lesson
max_width = 120
banned = {'torch._C': 'a fast path belongs upstairs, in optimizers/'}  # in the code of a lesson
not_ours = {'_fields', '_replace', '_asdict', '_make', '_modules', '_parameters', '_buffers', '_non_persistent_buffers_set'}  # of tuples, torch
event_name = r'(before|after|leave)_\w+|cleanup_fit|after_create'

Cell = namedtuple('Cell', 'id kind source directives metadata tree')  # `tree` is None where the source is no plain Python
Notebook = namedtuple('Notebook', 'path module cells')

# -- Reading

def directives(source):
    "The `#|` lines at the top of a cell: a dict from name to value"
    head = re.match(r'(\s*(#.*)?(\n|$))*', source)[0]
    return {k: v.strip() for k, v in re.findall(r'^\s*#\s*\|\s*([\w-]+)\s*:?[ \t]*(.*)$', head, re.M)}

def parse(source):
    try: return ast.parse(source)
    except SyntaxError: return None  # magics, or what an exercise leaves open

def read_cell(i, o):
    source, code = ''.join(o['source']), o['cell_type'] == 'code'
    return Cell(o.get('id', str(i)), o['cell_type'], source, directives(source) if code else {}, o.get('metadata', {}),
                parse(source) if code else None)

def read_notebook(path):
    "A notebook; its `module` is what `#| default_exp` says"
    raw = json.loads(path.read_text(encoding='utf-8'))
    cells = [read_cell(i, o) for i, o in enumerate(raw['cells'])]
    return Notebook(path, next((o.directives['default_exp'] for o in cells if 'default_exp' in o.directives), None), cells)

def config(root):
    ini = configparser.ConfigParser(delimiters=['='], interpolation=None)
    ini.read(root/'settings.ini', encoding='utf-8')
    return ini['DEFAULT']

def read_notebooks(root):
    paths = sorted(Path(root, config(root).get('nbs_path', 'nbs')).rglob('*.ipynb'))
    return [read_notebook(o) for o in paths if not any(p.startswith(('.', '_')) for p in o.relative_to(root).parts)]

def code_cells(nb): return [o for o in nb.cells if o.kind == 'code']
def is_exported(cell): return bool({'export', 'exports', 'exporti'} & {*cell.directives})
def exported(nb): return [o for o in nb.cells if is_exported(o) and o.tree]
def folder(module): return module.rpartition('.')[0]

def floor(module):
    "The number of the floor that a module is on, by its folder or, of a lesson, by its own name"
    name = module.split('.')[0]
    return next((i for i, names in enumerate(floors) if name in names), None)

# -- What is imported

Import = namedtuple('Import', 'module names node nested')  # `names` are None for `import module`

def functions(tree): return [o for o in ast.walk(tree) if isinstance(o, ast.FunctionDef | ast.AsyncFunctionDef)]

class House:
    "All notebooks of a repository, and what the rules ask of them"
    def __init__(self, root):
        self.root, self.lib = root, config(root)['lib_name']
        self.notebooks = [o for o in read_notebooks(root)]
        self.modules = {o.module: o for o in self.notebooks if o.module}

    def ours(self, name):
        "The path of a module of ours inside the package: '' for the package itself, None if it is another's"
        if name == self.lib or name.startswith(self.lib + '.'): return name[len(self.lib)+1:]

    def imports(self, tree):
        "All imports of our modules in a cell"
        inner = {id(n) for f in functions(tree) for n in ast.walk(f)}
        for o in ast.walk(tree):
            if isinstance(o, ast.Import):
                for a in o.names: yield from self._imports(a.name, None, o, inner)
            elif isinstance(o, ast.ImportFrom) and o.module: yield from self._imports(o.module, [a.name for a in o.names], o, inner)

    def _imports(self, name, names, node, inner):
        if (module := self.ours(name)) is None: return
        sub = [f'{module}.{o}'.lstrip('.') for o in names or ()]  # `from lib.folder import module`
        for o in [o for o in sub if o in self.modules]: yield Import(o, None, node, id(node) in inner)
        rest = [o for o, path in zip(names or (), sub) if path not in self.modules]
        if rest or names is None: yield Import(module or 'all', rest or None, node, id(node) in inner)

    def arrows(self, nested=True):
        "From each module to the set of those that it imports; with or without imports inside functions"
        return {m: {o.module for c in exported(nb) for o in self.imports(c.tree) if nested or not o.nested} for m, nb in self.modules.items()}

    def lessons(self): return [self.modules[o] for o in lessons if o in self.modules]

rules = []
def rule(f): rules.append(f); return f

def find(root):
    "All findings as (path, cell id, what)"
    house = House(root)
    return [(nb.path.relative_to(root), cell, what) for f in rules for nb, cell, what in f(house)]

# -- Rules about imports: each yields (notebook, cell id, what)

def exported_imports(house):
    return [(nb, c, o) for nb in house.modules.values() for c in exported(nb) for o in house.imports(c.tree)]

@rule
def known_floor(house):
    for nb in house.modules.values():
        if floor(nb.module) is None: yield nb, nb.cells[0].id, f'{nb.module} is on no floor; move it, or name its folder in .ci/house.py'

@rule
def arrows_point_down(house):
    for nb, c, o in exported_imports(house):
        here, there = floor(nb.module), floor(o.module)
        if None not in (here, there) and there > here:
            yield nb, c.id, f'{nb.module} imports {o.module}, a floor above it; move what it needs down, or register it from above'

@rule
def lessons_look_down(house):
    for nb in house.lessons():
        for c in code_cells(nb):
            if is_exported(c) or not c.tree: continue
            for o in house.imports(c.tree):
                if (floor(o.module) or 0) > floor(nb.module):
                    yield nb, c.id, f'a lesson uses {o.module}, which comes after it; use what the lesson has, or move the cell upstairs'

@rule
def no_circles(house):
    try: TopologicalSorter(house.arrows()).prepare()
    except CycleError as e:
        nb = house.modules[e.args[1][0]]
        yield nb, nb.cells[0].id, f"a circle of imports: {' <- '.join(e.args[1])}; move what both need into one module below"

@rule
def imports_at_the_top(house):
    for nb in house.modules.values():
        for i, c in enumerate(exported(nb)):
            for o in house.imports(c.tree):
                if o.nested: yield nb, c.id, f'imports {o.module} inside a function; import it in the first exported cell'
                elif i: yield nb, c.id, f'imports {o.module} below the first exported cell; move the import there'

@rule
def no_import_by_name(house):
    own = re.compile(rf'^{house.lib}(\.|$)')
    for nb in house.modules.values():
        for c in exported(nb):
            for o in ast.walk(c.tree):
                by_name = isinstance(o, ast.Call) and ast.unparse(o.func).split('.')[-1] in ('import_module', '__import__')
                if by_name and any(isinstance(a, ast.Constant) and own.match(str(a.value)) for a in o.args):
                    yield nb, c.id, f'imports by name: {ast.unparse(o)}; use an import statement in the first exported cell'

@rule
def stars_of_lessons_only(house):
    for nb, c, o in exported_imports(house):
        if o.names == ['*'] and nb.module != 'all' and not {nb.module, o.module} <= {*lessons}:
            yield nb, c.id, f'takes everything from {o.module}; name what is needed'

def is_private(name): return name.startswith('_') and not name.endswith('__')

@rule
def no_private_imports(house):
    for nb, c, o in exported_imports(house):
        for name in o.names or ():
            if is_private(name) and folder(nb.module) != folder(o.module):
                yield nb, c.id, f'takes the private {name} from {o.module}; make it public there, with a name and a docstring (#| exporti if no user needs it)'

# -- Rules about what modules do to each other

def defined_attrs(tree):
    "Names that code gives to attributes: by assignment, as methods, in `__slots__` and in the body of a class"
    for o in ast.walk(tree):
        if isinstance(o, ast.Attribute) and isinstance(o.ctx, ast.Store): yield o.attr
        elif isinstance(o, ast.FunctionDef): yield o.name
        elif isinstance(o, ast.ClassDef): yield from (n.id for n in ast.walk(o) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
        elif isinstance(o, ast.Call) and ast.unparse(o.func) in ('setattr', 'object.__setattr__', 'store_attr'):
            yield from (w for a in o.args if isinstance(a, ast.Constant) for w in str(a.value).split(','))
        elif isinstance(o, ast.Constant) and isinstance(o.value, str) and is_private(o.value): yield o.value

def owner_folders(house):
    "From the name of a private attribute to the folders whose modules define it"
    res = {}
    for m, nb in house.modules.items():
        for c in exported(nb):
            for name in filter(is_private, defined_attrs(c.tree)): res.setdefault(name, set()).add(folder(m))
    return res

@lru_cache
def classes_by_folder(house):
    "From the name of each class of ours to the folder of its module"
    return {o.name: folder(m) for m, nb in house.modules.items() for c in exported(nb) for o in ast.walk(c.tree) if isinstance(o, ast.ClassDef)}

def is_patch(f): return any('patch' in ast.unparse(getattr(o, 'func', o)) for o in f.decorator_list)

def own_names(house, nb, tree):
    "The nodes in `tree` that are `self` or `cls` of a class of this folder; in a method patched into another folder's class they are that class's"
    where = classes_by_folder(house)
    foreign = [f for f in functions(tree) if is_patch(f) and f.args.args and f.args.args[0].annotation
               and where.get(ast.unparse(f.args.args[0].annotation), folder(nb.module)) != folder(nb.module)]
    outside = {id(o) for f in foreign for o in ast.walk(f)}
    return {id(o) for o in ast.walk(tree) if isinstance(o, ast.Name) and o.id in ('self', 'cls')} - outside

@rule
def no_private_attributes(house):
    owners = owner_folders(house)
    for nb in house.modules.values():
        for c in exported(nb):
            mine = own_names(house, nb, c.tree)
            for o in ast.walk(c.tree):
                if not isinstance(o, ast.Attribute) or not is_private(o.attr) or id(o.value) in mine or o.attr in not_ours: continue
                if (own := owners.get(o.attr)) and folder(nb.module) not in own:
                    whose = ', '.join(sorted(k or 'the lessons' for k in own))
                    yield nb, c.id, f'uses {ast.unparse(o)}, private to {whose}; make a small public method or attribute there'

patch_probe = r'''
import importlib, json, sys, types
root, lib, *modules = json.loads(sys.stdin.read())
sys.path.insert(0, root)
package = sys.modules[lib] = types.ModuleType(lib)  # without its __init__, which imports all at once
package.__path__, package.__file__ = [f'{root}/{lib}'], f'{root}/{lib}/__init__.py'
ignored = {'__doc__', '__module__', '__dict__', '__weakref__', '__abstractmethods__', '_abc_impl', '__annotations__', '__signature__'}
def ours(): return {k: o for k, o in [*sys.modules.items()] if k.startswith(lib + '.')}
def classes(): return {o for m in ours().values() for o in vars(m).values() if isinstance(o, type) and o.__module__.startswith(lib + '.')}
def is_code(o): return callable(o) or isinstance(o, (property, classmethod, staticmethod)) or hasattr(o, '__get__')
def snapshot():
    res = {(o.__module__, o.__qualname__, k): v for o in classes() for k, v in vars(o).items() if k not in ignored and is_code(v)}
    return res | {(m, '', k): v for m, o in ours().items() for k, v in vars(o).items() if callable(v) and getattr(v, '__module__', '') == m}
def hidden(cls, name): return next((b for b in cls.__mro__[1:] if name in vars(b) and b.__module__.startswith(lib + '.')), None)
for m in modules:
    old, had = snapshot(), {c: {*vars(c)} for c in classes()}
    importlib.import_module(f'{lib}.{m}')
    new = snapshot()
    for k in old:
        if new.get(k) is not old[k]: print(json.dumps([m, '.'.join(filter(None, k)), 'replaces']))
    for c, names in had.items():
        for k in {*vars(c)} - names - ignored:
            if (b := hidden(c, k)) and k in had.get(b, ()): print(json.dumps([m, f'{c.__module__}.{c.__qualname__}.{k}', f'hides {b.__name__}.{k} by']))
'''

@rule
def no_module_changes_another(house):
    "Each module is imported by itself, those below it first; what functions and methods the others have must be as before"
    try: order = [*TopologicalSorter(house.arrows(nested=False)).static_order()]
    except CycleError: return  # told by `no_circles`
    order = [o for o in order if o in house.modules and Path(house.root, house.lib, *o.split('.')).with_suffix('.py').exists()]
    run = subprocess.run([sys.executable, '-c', patch_probe], input=json.dumps([str(house.root), house.lib, *order]), capture_output=True, text=True)
    for m, name, does in map(json.loads, run.stdout.splitlines()):
        nb = house.modules[m]
        yield nb, nb.cells[0].id, f'importing {m} {does} {name}; use an event, a callback or a registry instead'
    if run.returncode: yield house.notebooks[0], '', f'the modules cannot be imported one by one: {run.stderr.strip().splitlines()[-1]}'

# -- Rules about cells

@rule
def lines_fit(house):
    for nb in house.notebooks:
        for c in nb.cells:
            if not is_exported(c): continue
            for o in c.source.splitlines():
                if len(o) > max_width: yield nb, c.id, f'a line of {len(o)} characters, where {max_width} fit; break it: {o.strip()[:50]}…'

def exported_lines(nb): return [o for c in nb.cells if is_exported(c) for o in c.source.splitlines() if o.strip() and not re.match(r'\s*#\s*\|', o)]

@rule
def lessons_are_short(house):
    for nb in house.lessons():
        n, lines = len(code_cells(nb)), len(exported_lines(nb))
        if n > max_code_cells: yield nb, nb.cells[0].id, f'{n} code cells, where {max_code_cells} are allowed; move a section upstairs'
        if lines > max_exported_lines: yield nb, nb.cells[0].id, f'{lines} exported lines, where {max_exported_lines} are allowed; move a part upstairs'

def is_shown(cell, flags):
    "Is it a cell that a reader sees and runs?"
    return not {'hide', *flags} & {*cell.directives} and cell.directives.get('eval') != 'false' and cell.directives.get('include') != 'false'

@rule
def lessons_show_what_they_export(house):
    flags = config(house.root).get('tst_flags', 'notest slow cuda').split()
    for nb in house.lessons():
        row = 0
        for c in code_cells(nb):
            if is_exported(c): row += 1
            elif is_shown(c, flags) and 'default_exp' not in c.directives: row = 0
            if is_exported(c) and row == max_in_a_row+1: yield nb, c.id, f'the {row}th exported cell in a row that no visible cell runs; show one at work before it'

@rule
def lessons_stay_plain(house):
    for nb in house.lessons():
        for c in code_cells(nb):
            for word, why in banned.items():
                if re.search(rf'\b{re.escape(word)}\b', c.source): yield nb, c.id, f'{word} in a lesson: {why}'

@rule
def title_alone(house):
    for nb in house.notebooks:
        if not (c := next((o for o in nb.cells if o.kind == 'markdown'), None)): continue
        lines = [o for o in c.source.splitlines() if o.strip()]
        if not re.match('# ', lines[0]): yield nb, c.id, 'the first cell of text must hold `# Title` and `> one line`'
        elif len(lines) != 2 or not lines[1].startswith('> '):
            yield nb, c.id, 'the title cell holds more than `# Title` and `> one line`, and nbdev drops it from the page; move the rest into the next cell'

def solutions(nb):
    "The code cells below a heading Solutions, up to the next heading as high"
    level = 0
    for c in nb.cells:
        if (heads := re.findall(r'^(#+) (.*)', c.source, re.M)) and c.kind == 'markdown':
            if level and len(heads[0][0]) <= level: level = 0
            if heads[-1][1].strip() == 'Solutions': level = len(heads[-1][0])
        elif level and c.kind == 'code' and not is_exported(c) and 'hide' not in c.directives: yield c

@rule
def solutions_are_folded(house):
    for nb in house.notebooks:
        for c in solutions(nb):
            if not c.metadata.get('jupyter', {}).get('source_hidden'):
                yield nb, c.id, 'a solution that JupyterLab shows; set its metadata to {"jupyter": {"source_hidden": true}}'

def parameter_comments(source, f):
    "The comments beside the parameters of function `f`, which has a line for each"
    args = [o for o in ast.walk(f.args) if isinstance(o, ast.arg)]
    lines = {o.end_lineno for o in args} if any(o.lineno > f.lineno for o in args) else ()
    return [o.string for o in tokenize.generate_tokens(StringIO(source).readline) if o.type == tokenize.COMMENT and o.start[0] in lines]

@rule
def no_backticks_beside_parameters(house):
    for nb in house.modules.values():
        for c in exported(nb):
            for f in functions(c.tree):
                for o in parameter_comments(c.source, f):
                    if '`' in o: yield nb, c.id, f'backticks beside a parameter of {f.name} become raw links on the site; take them out: {o}'

@rule
def handlers_are_described(house):
    for nb in house.modules.values():
        for c in exported(nb):
            for f in c.tree.body:
                patched = isinstance(f, ast.FunctionDef) and any('patch' in ast.unparse(o) for o in f.decorator_list)
                if patched and re.fullmatch(event_name, f.name) and not ast.get_docstring(f):
                    yield nb, c.id, f'the patched handler {f.name} has no docstring, and the site would say "Call self as a function."; write one line'

def main():
    found = find(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve())
    for path, cell, what in found: print(f'{path}: {cell}: {what}')
    print(f'{len(rules)} rules, {len(found)} findings')
    return bool(found)

if __name__ == '__main__': sys.exit(main())
