"What `from optimloop.all import *` gives, and the page that lists it"
import importlib, json, pkgutil, re, subprocess, sys
from pathlib import Path
import optimloop, optimloop.all as lib

root = Path(__file__).resolve().parent.parent
outside = re.compile(r'optimloop\.(all|_modidx|projects\b.*|basics\b.*)$')  # no part of the library proper
found = [o.name for o in pkgutil.walk_packages(optimloop.__path__, 'optimloop.') if not o.ispkg]
modules = [o for o in found if not outside.match(o)]

def fresh(code):
    "What `code` prints in a process of its own"
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.strip()

def test_each_name_is_given_once():
    assert len(lib.__all__) == len(set(lib.__all__))
    for o in lib.__all__: getattr(lib, o)

def test_no_name_is_that_of_two_things():
    "A name of two modules may be given only if both mean the same"
    for name in lib.__all__:
        defined = [m for o in modules if hasattr(m := importlib.import_module(o), '__all__') and name in m.__all__]
        assert len({id(getattr(m, name)) for m in defined}) <= 1, (name, defined)

def test_star_gives_what_it_says():
    names = fresh("from optimloop.all import *; print(*(o for o in dir() if o[0] != '_'))").split()
    assert set(names) == set(lib.__all__)

def test_importing_the_package_loads_the_whole_library():
    "Methods and engines register themselves when their module is imported: none may be forgotten"
    loaded = fresh('import sys, optimloop; print(*sys.modules)').split()
    assert set(modules) <= set(loaded)

def test_what_is_no_business_of_a_user_stays_out():
    out = '''bowl rosenbrock descend digits synth_learner minimum steep slide as_tuple add_note surely
        class_name event_names norm_layers func_name stepper_name test_overflow read_weights
        put_parts n_batches run_loop Plan StandIn'''.split()
    assert not set(out) & set(lib.__all__)

def test_common_names_are_in():
    names = '''SGD RMSProp Adam RAdam Lion Muon Lookahead ranger Optimizer OptimWrapper sgd_step momentum_step
        weight_decay Callback event CancelBatchException CancelFitException TrainEvalCallback
        ModelResetter TerminateOnNaN Learner Recorder DataLoaders accuracy AvgMetric
        trainable_params ParamScheduler SchedCos combine_scheds Steps Samples MixedPrecision
        NonNativeMixedPrecision GradientClip GradientAccumulation EMA NaNPolicy EarlyStopping
        SaveModel CSVLogger TorchScheduler FreezeUntil Checkpoint load_learner save_state
        load_state to_device'''.split()
    assert not set(names) - set(lib.__all__)

def page_of_the_api():
    "The tables of 99_all.ipynb, as they are stored"
    cells = json.loads((root/'nbs/99_all.ipynb').read_text())['cells']
    return ''.join(''.join(o['data']['text/markdown']) for c in cells for o in c.get('outputs', []) if 'data' in o)

def test_the_page_of_the_api_lists_every_name():
    "If not, names have come or gone, and 99_all.ipynb is to be run again"
    listed = re.findall(r'^\| \[([\w.]+)\]', page_of_the_api(), re.M)
    assert len(listed) == len(set(listed)) and {o for o in listed if '.' not in o} == set(lib.__all__)
    assert {'Learner.fit', 'Learner.lr_find', 'Learner.predict', 'Optimizer.step', 'Recorder.plot_loss'} <= set(listed)

def test_every_line_of_the_page_says_something():
    assert not re.findall(r'^\| \[[\w.]+\]\(\S+\) \|\s*\|$', page_of_the_api(), re.M)
