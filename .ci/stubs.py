"""Write a stub (.pyi) beside each module, so that an editor knows every method:  python .ci/stubs.py [--check]

Methods are patched into classes from several modules, which no type checker follows. The stub of a class lists them
all, with docstrings and the comments of their parameters, from the sources that the notebooks export. Run it after
nbdev_export. With `--check` nothing is written, and the exit status is 1 if the stubs are not what they should be."""
import ast, builtins, importlib, inspect, re, sys, tokenize
from collections import namedtuple
from functools import cached_property
from pathlib import Path
from types import FunctionType, SimpleNamespace

root = Path(__file__).resolve().parent.parent
lib = 'optimloop'
known = {'Learner.opt': 'Optimizer', 'Callback.learn': 'Learner', 'synth_learner': 'Learner'}  # told by no signature
typing = {'Any': 'typing', 'Self': 'typing_extensions', 'AbstractContextManager': 'contextlib', 'NamedTuple': 'typing'}
simple_returns = {'__init__': 'None', '__repr__': 'str', '__str__': 'str', '__len__': 'int', '__dir__': 'list[str]',
                  '__contains__': 'bool'}
builtin_returns = {k: k for k in 'list dict set tuple str bool int float'.split()} | {'sorted': 'list', 'len': 'int'}
header = '# Written by .ci/stubs.py from the notebooks: edit them, not this file.'

def is_dunder(name): return name.startswith('__') and name.endswith('__')
def is_public(name): return not name.startswith('_') or is_dunder(name)
def quoted(text):
    text = text.replace('\\', '\\\\').replace('"""', "'''")
    return f'"""{text}"""' if not text.endswith('"') else f'"""{text} """'
def indent(lines): return [f'    {o}' if o else o for o in lines]

# -- The sources

class Source:
    "A module of the package: its code, its comments, and what it imports"
    def __init__(self, path):
        self.path, self.name = path, '.'.join(path.relative_to(root/lib).with_suffix('').parts)
        self.tree = ast.parse(path.read_text(encoding='utf-8'))
        with open(path, 'rb') as f:
            comments = [o for o in tokenize.tokenize(f.readline) if o.type == tokenize.COMMENT]
        self.comments = {o.start[0]: o.string[1:].strip() for o in comments}

    @cached_property
    def module(self): return importlib.import_module(f'{lib}.{self.name}')
    @cached_property
    def exports(self): return [o for o in getattr(self.module, '__all__', ())]

    def absolute(self, node):
        "The module that an import statement names, inside the package; None if it is another's"
        if node.level: return '.'.join([*self.name.split('.')[:-node.level], *([node.module] if node.module else [])])
        if (node.module or '').startswith(lib + '.'): return node.module[len(lib)+1:]

    def imports(self):
        "From each name that is imported to the line that imports it from here"
        res = {}
        for o in self.tree.body:
            for a in o.names if isinstance(o, ast.Import | ast.ImportFrom) else ():
                line = f'from {"."*o.level}{o.module or ""} import ' if isinstance(o, ast.ImportFrom) else 'import '
                res[(a.asname or a.name).split('.')[0]] = line + a.name + (f' as {a.asname}' if a.asname else '')
        return res

def read_sources():
    paths = sorted(o for o in (root/lib).rglob('*.py') if not o.name.startswith('_'))
    return {o.name: o for o in map(Source, paths)}

Method = namedtuple('Method', 'node source decorators')  # a function in a class or patched into it

def decorators(f): return [ast.unparse(o) for o in f.decorator_list]
def is_assignment(o): return isinstance(o, ast.Assign | ast.AnnAssign)
def is_function(o): return isinstance(o, ast.FunctionDef) and not is_patch(o)
def is_patch(f): return any(re.match(r'patch\b|patch_to\b', o) for o in decorators(f))

def patched_classes(f):
    "The names of the classes that a patched function becomes a method of"
    return [o.id for o in ast.walk(f.args.args[0].annotation) if isinstance(o, ast.Name)]

def as_method(f, source):
    "A patched function as it would stand in the class"
    kinds = {'as_prop=True': 'property', 'cls_method=True': 'classmethod', 'set_prop=True': f'{f.name}.setter'}
    decs = [kind for o in decorators(f) if o.startswith('patch') for k, kind in kinds.items() if k in o]
    return Method(f, source, decs + [o for o in decorators(f) if not o.startswith('patch')])

class Package:
    "All modules, the classes in them with the methods of each, and what functions return"
    def __init__(self):
        self.sources = read_sources()
        self.classes, self.methods, self.where, self.functions = {}, {}, {}, {}
        for s in self.sources.values(): self._collect(s)
        for s in self.sources.values():
            for o in s.tree.body:
                if isinstance(o, ast.FunctionDef) and is_patch(o): self._add_patch(o, s)
        self.returns, self.asked = {}, []
        for _ in range(4):  # a function may return what another returns
            self.returns = {k: t for k, f in self.functions.items() if (t := self.return_type(f))}

    def _collect(self, s):
        for o in s.tree.body:
            if isinstance(o, ast.ClassDef):
                self.classes[o.name], self.where[o.name] = (o, s), s.name
                self.methods[o.name] = [Method(f, s, decorators(f)) for f in o.body if isinstance(f, ast.FunctionDef)]
            elif is_function(o): self.functions[o.name], self.where[o.name] = o, s.name
            elif is_assignment(o):
                for n in stored_names(o): self.where.setdefault(n, s.name)

    def _add_patch(self, f, s):
        for c in patched_classes(f):
            if c in self.methods: self.methods[c].append(as_method(f, s))

    def bases(self, name):
        "The names of all classes of ours that a class inherits from, itself first"
        if name not in self.classes: return []
        return [name] + [b for o in self.classes[name][0].bases for b in self.bases(ast.unparse(o))]

    def runtime(self, name):
        "A class of ours as it is when all has been imported"
        return getattr(self.sources[self.where[name]].module, name)

    def is_needed(self, name): return is_public(name) or any(is_public(o) for o in self.subclasses(name))

    def subclasses(self, name): return [o for o in self.classes if name in self.bases(o)[1:]]

    def type_of(self, o, cls=None):
        "The type of an expression in a method of `cls`, as text; None where it is not plain"
        if isinstance(o, ast.Constant): return 'None' if o.value is None else type(o.value).__name__
        if isinstance(o, ast.JoinedStr): return 'str'
        if isinstance(o, ast.Compare) or isinstance(o, ast.UnaryOp) and isinstance(o.op, ast.Not): return 'bool'
        if isinstance(o, ast.List | ast.ListComp): return 'list'
        if isinstance(o, ast.Dict | ast.DictComp): return 'dict'
        if isinstance(o, ast.Set | ast.SetComp): return 'set'
        if isinstance(o, ast.Tuple): return 'tuple'
        if isinstance(o, ast.IfExp): return either([self.type_of(o.body, cls), self.type_of(o.orelse, cls)])
        if isinstance(o, ast.Call): return self._type_of_call(o.func, cls)

    def _type_of_call(self, f, cls):
        if isinstance(f, ast.Attribute): return self._type_of_method(f, cls)
        f = ast.unparse(f)
        if f in self.classes: return f if self.is_needed(f) else None
        return self.returns.get(f, builtin_returns.get(f))

    def _type_of_method(self, f, cls):
        "What the method `f`, like `self.fit` or `self.to_fp32().fit`, returns, wherever it was patched in"
        owner = 'Self' if cls and ast.unparse(f.value) == 'self' else self.type_of(f.value, cls)
        name = cls if owner == 'Self' else owner
        found = [(c, o) for c in self.bases(name) for o in self.methods[c] if o.node.name == f.attr]
        if not found or found[0] in self.asked: return
        self.asked.append(found[0])  # a method may call itself
        try: res = method_type(self, *found[0])
        finally: self.asked.pop()
        return owner if res == 'Self' else res

    def return_type(self, f, cls=None):
        "What a function returns, as far as its code says it plainly"
        if f.returns: return ast.unparse(f.returns)
        if f.name in simple_returns and cls: return simple_returns[f.name]
        own = own_nodes(f)
        if any(isinstance(o, ast.Yield | ast.YieldFrom) for o in own): return
        values = [o.value for o in own if isinstance(o, ast.Return)]
        if not values: return None if isinstance(f.body[-1], ast.Raise) else 'None'
        if cls and all(o and ast.unparse(o) == 'self' for o in values): return 'Self'
        return either([self.type_of(o, cls) if o else 'None' for o in values])

def either(types): return None if None in types else ' | '.join(dict.fromkeys(types))

def own_nodes(f):
    "The nodes of a function without those of functions in it"
    todo, res = [*f.body], []
    while todo:
        res.append(o := todo.pop())
        if not isinstance(o, ast.FunctionDef | ast.Lambda | ast.ClassDef): todo += ast.iter_child_nodes(o)
    return res

def stored_names(node):
    "The names that an assignment gives values to"
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [o.id for t in targets for o in ast.walk(t) if isinstance(o, ast.Name) and isinstance(o.ctx, ast.Store)]

# -- Functions

def default_text(o):
    "A default as it stands, if it is short and a plain value"
    try: ast.literal_eval(o)
    except ValueError: return '...'
    return text if len(text := ast.unparse(o)) < 40 and text != '()' else '...'

def arg_text(a, default=None, star=''):
    note = ast.unparse(a.annotation) if a.annotation else ''
    if isinstance(default, ast.Constant) and default.value is None and note and 'None' not in note: note += ' | None'
    res = star + a.arg + (f': {note}' if note else '')
    return res + (' = ' if note else '=')*bool(default) + default_text(default) if default else res

def arg_list(f, extra=()):
    "The parameters of a function as texts; `extra` go before `**kwargs`"
    a = f.args
    plain, n = [*a.posonlyargs, *a.args], len(a.posonlyargs)
    res = [arg_text(o, d) for o, d in zip(plain, [None]*(len(plain)-len(a.defaults)) + a.defaults)]
    if n: res.insert(n, '/')
    rest = [arg_text(o, d) for o, d in zip(a.kwonlyargs, a.kw_defaults)] + [o for o in extra]
    if a.vararg: res.append(arg_text(a.vararg, star='*'))
    elif rest: res.append('*')
    return res + rest + ([arg_text(a.kwarg, star='**')] if a.kwarg else [])

def arg_comments(f, source):
    "From each parameter with a line of its own to the comment beside it; `return`: beside the end of the signature"
    args = [*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs, *filter(None, [f.args.vararg, f.args.kwarg])]
    lines = {o.end_lineno: o.arg for o in args if o.lineno > f.lineno}
    if not lines: return {}
    res = {v: source.comments[k] for k, v in lines.items() if k in source.comments}
    closing = [source.comments[i] for i in range(max(lines)+1, f.body[0].lineno) if i in source.comments]
    return res | ({'return': closing[0]} if closing else {})

def full_doc(f, source):
    "The docstring of a function, with the comments of its parameters"
    notes = arg_comments(f, source)
    returned, doc = notes.pop('return', None), ast.get_docstring(f) or ''
    lines = [doc] + ['', 'Parameters', '----------']*bool(notes)
    lines += [o for k, v in notes.items() for o in (k, f'    {v}')]
    return '\n'.join(lines + (['', 'Returns', '-------', returned] if returned else [])).strip()

def def_lines(name, args, returns, doc, decs=()):
    head = f'def {name}({", ".join(args)})' + (f' -> {returns}' if returns else '') + ':'
    body = indent(quoted(doc).split('\n')) if doc else []
    return [f'@{o}' for o in decs] + ([head, *body] if body else [head + ' ...'])

def delegated(package, f, decs):
    "The parameters that `@delegates(Class.method)` adds, as texts"
    m = next((m for o in decs if (m := re.match(r'delegates\((\w+)\.(\w+)(.*)\)$', o))), None)
    if not m: return []
    target = next(o.node for o in package.methods[m[1]] if o.node.name == m[2])
    own = {o.arg for o in ast.walk(f.args) if isinstance(o, ast.arg)} | {*re.findall(r"'(\w+)'", m[3])}
    args = target.args.args[len(target.args.args)-len(target.args.defaults):]
    return [arg_text(a, d) for a, d in zip(args, target.args.defaults) if a.arg not in own]

kept_decorators = 'property', 'classmethod', 'staticmethod'

def context_type(f):
    "What `with` gives where a function is a context manager"
    given = [ast.unparse(o.value) if o.value else 'None' for o in own_nodes(f) if isinstance(o, ast.Yield)]
    what = {'None': 'None', 'self': 'Self'}.get(given[0], 'Any') if len({*given}) == 1 else 'Any'
    return f'AbstractContextManager[{what}]'

def method_type(package, cls, o):
    return context_type(o.node) if 'contextmanager' in o.decorators else package.return_type(o.node, cls)

def function_lines(package, f, source, decs, cls=None):
    "The stub of a function or method"
    returns = known.get(f'{cls}.{f.name}' if cls else f.name) or package.return_type(f, cls)
    if 'contextmanager' in decs: returns = context_type(f)
    args = arg_list(f, delegated(package, f, decs))
    if cls and f.args.args and not f.args.posonlyargs and 'staticmethod' not in decs: args[0] = f.args.args[0].arg
    kept = [o for o in decs if o in kept_decorators or o.endswith('.setter')]
    return def_lines(f.name, args, returns, full_doc(f, source), kept)

# -- Classes

def is_set_on(n, *names):
    return isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store) and ast.unparse(n.value) in names

def self_attrs(package, name):
    "The public attributes that the methods of a class give to `self`"
    for o in package.methods[name]:
        for n in ast.walk(o.node):
            if is_set_on(n, 'self'): yield n.attr
            elif isinstance(n, ast.Call) and ast.unparse(n.func) == 'store_attr': yield from stored_by_call(n, o.node)

def stored_by_call(call, f):
    "The attributes that `store_attr('a,b')`, or `store_attr()`, sets"
    if call.args and isinstance(call.args[0], ast.Constant): return re.findall(r'\w+', call.args[0].value)
    return [o.arg for o in f.args.args[1:]]

def class_attrs(node): return [n for o in node.body if is_assignment(o) for n in stored_names(o)]

def learner_attrs(package):
    "What callbacks write to their Learner: `self.learn.x = …`, `learn.x = …`"
    for c in ['Callback', *package.subclasses('Callback')]:
        for o in package.methods.get(c, ()):
            for n in ast.walk(o.node):
                if is_set_on(n, 'self.learn', 'learn'): yield n.attr

def hyper_names(package):
    "The hyper-parameters that the steppers of the package declare"
    for s in package.sources.values():
        for o in vars(s.module).values():
            if isinstance(o, FunctionType) and isinstance(getattr(o, 'defaults', None), dict): yield from o.defaults

def callback_attrs(package):
    "The callbacks under the names by which a Learner has them"
    from optimloop.callbacks import Callback
    for k in package.subclasses('Callback'):
        cls = package.runtime(k)
        if is_public(k) and issubclass(cls, Callback):
            try: yield cls.name.fget(cls.__new__(cls)), k
            except Exception: pass  # a name that depends on arguments

def attr_types(package, name, node):
    "From each attribute of a class to its type"
    res = {o: 'Any' for o in [*class_attrs(node), *self_attrs(package, name)]}
    if name == 'Learner': res |= {o: 'Any' for o in learner_attrs(package)} | dict(callback_attrs(package))
    if name == 'Optimizer': res |= {o: 'Any' for o in ['lr', *hyper_names(package)]}
    return {k: known.get(f'{name}.{k}', v) for k, v in res.items() if is_public(k) and not is_dunder(k)}

def assigned_lines(package, name, taken):
    "What a module puts into a class by assignment: `Class.name = …`, and properties that its body assigns"
    cls = package.runtime(name)
    for k in class_attrs(package.classes[name][0]):
        if is_public(k) and isinstance(o := vars(cls).get(k), property): yield property_lines(k, o)
    lines = [o for s in package.sources.values() for o in s.tree.body if is_assignment(o)]
    targets = [t for o in lines for t in ast.walk(o) if is_set_on(t, name)]
    for k in dict.fromkeys(o.attr for o in targets if is_public(o.attr) and o.attr not in taken):
        o = inspect.getattr_static(cls, k)
        if k == '__getattr__': yield ['def __getattr__(self, name: str) -> Any: ...']
        elif isinstance(o, property): yield property_lines(k, o)
        elif isinstance(o, FunctionType): yield runtime_lines(k, o)
        else: yield [f'{k}: Any']

def runtime_methods(package, name, there):
    "Methods that a loop or a decorator puts into a class, and that no class it inherits from has"
    cls = package.runtime(name)
    for k, o in sorted(vars(cls).items()):
        if not is_public(k) or is_dunder(k) or k in there or not isinstance(o, FunctionType): continue
        if not any(hasattr(b, k) for b in cls.__bases__): yield runtime_lines(k, o)

def property_lines(k, o):
    res = def_lines(k, ['self'], 'Any', o.__doc__ and str(o.__doc__), ['property'])
    return res + def_lines(k, ['self', 'value'], 'None', '', [f'{k}.setter']) if o.fset else res

def runtime_lines(name, f):
    "The stub of a function that no `def` of that name made"
    kinds = {inspect.Parameter.VAR_POSITIONAL: '*', inspect.Parameter.VAR_KEYWORD: '**'}
    params = inspect.signature(f).parameters.values()
    args = [kinds.get(o.kind, '') + o.name + '=...'*(o.default is not o.empty) for o in params]
    return def_lines(name, args, None, f.__doc__ and str(f.__doc__))

def merged_properties(methods):
    "Methods with each setter just below its property"
    setters = {o.node.name: o for o in methods if any(d.endswith('.setter') for d in o.decorators)}
    for o in methods:
        if o in setters.values(): continue
        yield o
        if 'property' in o.decorators and o.node.name in setters: yield setters[o.node.name]

def class_lines(package, name):
    "The stub of a class, with all methods that any module patches into it"
    node, source = package.classes[name]
    methods = [o for o in merged_properties(package.methods[name]) if is_public(o.node.name)]
    inherited = {o.node.name for b in package.bases(name) for o in package.methods[b]}  # no attributes, then
    doc, bases = ast.get_docstring(node), ', '.join(ast.unparse(o) for o in node.bases)
    attrs = {k: v for k, v in attr_types(package, name, node).items() if k not in inherited}
    assigned = [*assigned_lines(package, name, {*attrs, *(o.node.name for o in methods)})]
    now = {re.match(r'(?:def )?(\w+)', next(l for l in o if not l.startswith('@')))[1] for o in assigned}
    body = quoted(doc).split('\n') if doc else []
    body += [f'{k}: {v}' for k, v in attrs.items() if k not in now]
    for o in methods: body += function_lines(package, o.node, o.source, o.decorators, name)
    there = {*attrs, *now, *(o.node.name for o in methods)}
    body += [l for o in [*assigned, *runtime_methods(package, name, there)] for l in o]
    return [f'class {name}({bases}):' if bases else f'class {name}:', *indent(body or ['...']), '']

# -- Modules

def value_lines(name, o):
    "The stub of a public name that a module assigns"
    if isinstance(o, SimpleNamespace):
        attrs = [f'{k}: {type(v).__name__}' for k, v in vars(o).items()]
        return [f'class _{name}:', *indent(attrs), '', f'{name}: _{name}']
    if isinstance(o, FunctionType): return runtime_lines(name, o)
    if isinstance(o, type) and hasattr(o, '_fields'):
        return [f'class {name}(NamedTuple):', *indent([f'{k}: Any' for k in o._fields]), '']
    plain = type(o) in (bool, int, float, str, list, dict, set, tuple)
    return [f'{name}: {type(o).__name__ if plain else "Any"}']

def body_lines(package, source):
    "The stubs of what a module defines, in its order"
    seen = {o.name for o in source.tree.body if is_function(o)}
    for o in source.tree.body:
        if isinstance(o, ast.ClassDef) and package.is_needed(o.name): yield from class_lines(package, o.name)
        elif is_function(o) and is_public(o.name): yield from function_lines(package, o, source, decorators(o))
        elif is_assignment(o):
            for k in [k for k in stored_names(o) if not k.startswith('_') and k not in seen]:
                yield from value_lines(k, getattr(source.module, k))
                seen.add(k)

def relative(source, target):
    "The way from one module of the package to another, with dots"
    return '.'*len(source.name.split('.')) + target

def import_lines(package, source, text):
    "The imports that the names in a stub need"
    tree, own = ast.parse(text), source.imports()
    used = {o.id for o in ast.walk(tree) if isinstance(o, ast.Name) and isinstance(o.ctx, ast.Load)} | {*source.exports}
    made = {o.name for o in ast.walk(tree) if isinstance(o, ast.ClassDef | ast.FunctionDef)}
    made |= {o.target.id for o in tree.body if isinstance(o, ast.AnnAssign)}
    for k in sorted(used - made):
        home = package.where.get(k, source.name)
        if k in typing: yield f'from {typing[k]} import {k}'
        elif home != source.name: yield f'from {relative(source, home)} import {k}'
        elif k in own: yield own[k]
        elif k not in vars(builtins): print(f'{source.name}: where is {k} from?', file=sys.stderr)

def stub(package, source):
    "The whole stub of a module"
    head = [quoted(ast.get_docstring(source.tree) or ''), header]
    body = '\n'.join(body_lines(package, source))
    head += [*import_lines(package, source, body), '', f'__all__ = {source.exports!r}', '']
    return '\n'.join([*head, body]).rstrip() + '\n'

def all_stubs():
    "From each path to what should stand there"
    package = Package()
    res = {s.path.with_suffix('.pyi'): stub(package, s) for s in package.sources.values()}
    return res | {root/lib/'__init__.pyi': f'{header}\n__version__: str\n'}

def main():
    sys.path.insert(0, str(root))
    new = all_stubs()
    old = {o: o.read_text(encoding='utf-8') for o in (root/lib).rglob('*.pyi')}
    differ = sorted(o for o in {**old, **new} if old.get(o) != new.get(o))
    names = ', '.join(str(o.relative_to(root)) for o in differ)
    if '--check' in sys.argv:
        return f'not what the package gives: {names}; run `python .ci/stubs.py`' if differ else None
    for o in differ: o.write_text(new[o], encoding='utf-8') if o in new else o.unlink()
    print(f'{len(new)} stubs; changed: {names or "none"}')

if __name__ == '__main__': sys.exit(main())
