"""What an editor knows of the library: the stubs that .ci/stubs.py writes, as pyright reads them."""
import ast, importlib, inspect, json, os, re, shutil, subprocess, sys
from pathlib import Path

import pytest

root = Path(__file__).resolve().parent.parent
script = root/'tests/user_script.py'
stubs = {o: ast.parse(o.read_text(encoding='utf-8')) for o in sorted((root/'optimloop').rglob('*.pyi'))
    if o.stem not in ('__init__', 'all')}
needs_pyright = pytest.mark.skipif(not shutil.which('node') or not shutil.which('pyright'),
    reason='needs pyright and node')

def pyright(path):
    "The errors that pyright finds: a list of (line, message)"
    args = [sys.executable, '-m', 'pyright', '--outputjson', '--pythonpath', sys.executable, str(path)]
    found = json.loads(subprocess.run(args, cwd=root, capture_output=True, text=True).stdout)['generalDiagnostics']
    return [(o['range']['start']['line'], o['message']) for o in found if o['severity']=='error']

def test_the_users_script_runs():
    subprocess.run([sys.executable, script], check=True, env={**os.environ, 'MPLBACKEND': 'agg'}, cwd=root,
        capture_output=True)

@needs_pyright
def test_no_false_error(): assert pyright(script)==[]

mistakes = '''
from optimloop.all import *
from optimloop.learner import synth_learner
learn = synth_learner()
learn.fitt(3)
learn.fit()
learn.fit('3')
learn.lr_find(num_itt=10)
event.before_fitt
Adam(lr=1e-3)
with learn.no_logging() as same: same.fit_onecycle(1)
from optimloop.optimizer import Adamm
'''

# not found: `opt.lrr` and `cb.modle`, since an optimizer answers for any hyper-parameter, and a callback for its
# learner
@needs_pyright
def test_real_mistakes_are_found(tmp_path):
    (tmp_path/'mistakes.py').write_text(mistakes)
    lines = mistakes.splitlines()
    found = {lines[i] for i,_ in pyright(tmp_path/'mistakes.py')}
    assert found=={*lines[4:]}

@needs_pyright
def test_the_stubs_are_sound():
    assert [o for path in ('learner', 'optimizer', 'callbacks', 'schedulers')
        for o in pyright(root/f'optimloop/{path}.pyi')]==[]

# -- What an editor shows

def message(pipe, **content):
    text = json.dumps({'jsonrpc': '2.0', **content}).encode()
    pipe.write(b'Content-Length: %d\r\n\r\n' % len(text) + text)
    pipe.flush()

def answer(server, id):
    "The server's answer to request `id`; what it asks in between gets an empty answer"
    while True:
        n = int(re.search(rb'Content-Length: (\d+)', server.stdout.readline())[1])
        while server.stdout.readline().strip(): pass
        o = json.loads(server.stdout.read(n))
        if o.get('id')==id and 'method' not in o: return o['result']
        if 'id' in o:
            message(server.stdin, id=o['id'], result=[{'pythonPath': sys.executable}]*len(
                o.get('params', {}).get('items', ())))

@pytest.fixture(scope='module')
def server():
    "pyright as an editor runs it, with the user's script open"
    args = [sys.executable, '-m', 'pyright.langserver', '--stdio']
    with subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        cwd=root) as p:
        message(p.stdin, id=0, method='initialize', params=dict(processId=None, rootUri=root.as_uri(),
                workspaceFolders=[dict(uri=root.as_uri(), name='optimloop')],
                capabilities=dict(workspace=dict(configuration=True, workspaceFolders=True))))
        answer(p, 0)
        message(p.stdin, method='initialized', params={})
        doc = dict(uri=script.as_uri(), languageId='python', version=1, text=script.read_text())
        message(p.stdin, method='textDocument/didOpen', params=dict(textDocument=doc))
        yield p
        p.terminate()

hovers = [('learn.fit(', 'Number of epochs'), ('learn.lr_find(', 'leaves no trace'),
    ('recorder.plot_loss(', 'smoothed'), ('learn.validate(', 'the metrics on a loader'),
          ('learn.recorder', 'Recorder'), ('= Adam(', 'Optimizer'), ('event.before_fit', 'str'),
          ('self.learn.loss', 'Any')]

@needs_pyright
@pytest.mark.parametrize('id,code,shown', [(i+1, *o) for i,o in enumerate(hovers)])
def test_hovers_show_docs(server, id, code, shown):
    at = script.read_text().index(code) + len(code.rstrip('(')) - 1
    before = script.read_text()[:at]
    position = dict(line=before.count('\n'), character=len(before) - before.rfind('\n') - 1)
    message(server.stdin, id=id, method='textDocument/hover',
        params=dict(textDocument=dict(uri=script.as_uri()), position=position))
    assert shown in json.dumps(answer(server, id))

# -- What the stubs hold

def names_in(body): return {getattr(o, 'name', None) or ast.unparse(getattr(o, 'target', ast.Name(''))) for o in body}

classes = {o.name: names_in(o.body) for tree in stubs.values() for o in tree.body if isinstance(o, ast.ClassDef)}

@pytest.mark.parametrize('path', stubs, ids=lambda o: str(o.relative_to(root)))
def test_every_method_is_there(path):
    module = importlib.import_module('.'.join(path.relative_to(root).with_suffix('').parts))
    for cls in [getattr(module, o.name) for o in stubs[path].body if isinstance(o, ast.ClassDef)
        and not o.name.startswith('_')]:
        known = set().union(*(classes[b.__name__] if b.__module__.startswith('optimloop.') else dir(b)
            for b in cls.__mro__))
        public = {k for k,v in vars(cls).items() if not k.startswith('_')
            and (inspect.isfunction(v) or isinstance(v, (property, classmethod)))}
        assert public <= known

@pytest.mark.parametrize('path', stubs, ids=lambda o: str(o.relative_to(root)))
def test_everything_exported_is_there(path):
    module = importlib.import_module('.'.join(path.relative_to(root).with_suffix('').parts))
    imported = {a.asname or a.name for o in stubs[path].body if isinstance(o, ast.ImportFrom) for a in o.names}
    assert {*module.__all__} <= names_in(stubs[path].body) | imported
