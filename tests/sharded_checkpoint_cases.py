"""Runs of a model in parts with `Checkpoint(sharded=True)`: `torchrun --nproc-per-node N
tests/sharded_checkpoint_cases.py FOLDER NAME…` writes what each case gives to `FOLDER/N_RANK.pt`.
`test_sharded_checkpoints.py` runs them."""
import contextlib, errno, faulthandler, io, os, shutil, sys, time, traceback, warnings
from functools import partial
from pathlib import Path

os.environ.setdefault('OPTIMLOOP_DEVICE', 'cpu')

import torch
import torch.nn.functional as F
from torch import nn

from optimloop.all import *
from optimloop.basics.param_groups import all_params
from optimloop.basics.ranks import join_ranks, n_ranks, on_main, this_rank, wait_for_all
from optimloop.optimizers.sharded import gathered
from optimloop.runs import checkpoints, shard_files

torch.set_num_threads(1)
cases = {}
def case(f): cases[f.__name__] = f

def data(n, seed):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, 5, generator=g), torch.randint(0, 3, (n,), generator=g)

class Fail(Callback):
    "An error, or what is given, after a batch of some phase"
    order = 200
    def __init__(self, epoch, batch, training=True, rank=None, do=None):
        self.place,self.rank,self.do = (epoch,batch,training),rank,do or self.stop
    def stop(self, learn): raise KeyError('stop')
    def after_batch(self):
        here = self.learn.epoch,self.learn.iter,self.learn.training
        if here==self.place and self.rank in (None,this_rank()): self.do(self.learn)

class Net(nn.Module):
    "Two blocks, of which the second shares its weight with the head; rows that two and three processes share unevenly"
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Sequential(nn.Linear(5, 13), nn.ReLU(), nn.Dropout(.2)), nn.Linear(13, 7))
        self.head,self.tied = nn.Linear(7, 3),nn.Linear(7, 3, bias=False)
        self.tied.weight = self.head.weight
        self.register_buffer('n_calls', torch.zeros(()))
    def forward(self, x):
        x = self.layers(x).relu()
        return self.head(x) + .1*self.tied(x)

def learner(folder, *cbs, shard=True, dropout=True, **kwargs):
    torch.manual_seed(0)
    net = Net()
    if not dropout: net.layers[0][2].p = 0.
    dls = DataLoaders.from_arrays(*data(37, 1), *data(21, 2), bs=8)
    checkpoint = Checkpoint(folder=folder, **dict(dict(every_batches=2, keep=100, sharded=True), **kwargs))
    learn = Learner(dls, net, F.cross_entropy, Adam, lr=.05, cbs=[*cbs, EMA(.9), checkpoint], path=folder)
    return learn.distribute(shard=shard)

def result(learn):
    weights = gathered({f'weight {k}':v.clone() for k,v in learn.model.state_dict().items()})
    params = enumerate(all_params(learn.opt.param_groups))
    state = gathered({f'avg {i}':learn.opt.state[p]['grad_avg'] for i,p in params})
    average = gathered({f'ema {k}':v for k,v in learn.ema.avg.items()})
    table = [list(o) for o in learn.recorder.values]
    return {**weights, **state, **average, 'losses':list(learn.recorder.losses), 'table':table}

def undisturbed(**kwargs):
    learn = learner(root/f'undisturbed_{n_ranks()}_{len(kwargs)}', **kwargs)
    learn.fit(4)
    return result(learn)

def quietly(f, *args, **kwargs):
    "What `f` returns, and the warnings"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        res = f(*args, **kwargs)
    return res,[str(o.message) for o in caught if 'Checkpoint' in str(o.message) or 'checkpoint' in str(o.message)]

def stopped(folder, *where, **kwargs):
    "A run that ends with an error"
    with contextlib.suppress(KeyError): learner(folder, Fail(*where), **kwargs).fit(4)
    wait_for_all()

def resumed(folder, resume=True, **kwargs):
    (learn := learner(folder, **kwargs)).fit(4, resume=resume)
    return result(learn)

def names(folder): return on_main(lambda: sorted(o.name for o in folder.iterdir()))

# --- the same as without it ---
@case
def plain(): return dict(parts=undisturbed(), whole=undisturbed(sharded=False), dry=undisturbed(dropout=False))

# --- broken off, and gone on with ---
@case
def broken_off():
    stopped(root/'batch', 1, 3)
    stopped(root/'validation', 1, 1, False)
    return dict(batch=resumed(root/'batch'), validation=resumed(root/'validation'), names=names(root/'validation'))

@case
def kept_from_before_validation():
    "The state that is saved after an error in a validation is that of before"
    stopped(root/'before', 1, 1, False)
    newest = [o for o in names(root/'before') if o[0]=='0' and o.endswith('.safetensors')][-1]
    learn = learner(root/'other').resume(root/'before'/newest)
    return dict(newest=newest, n=len(learn.recorder.losses))

@case
def for_others():
    "To be gone on with by another number of processes; without dropout, for the draws would be others"
    stopped(root/f'from_{n_ranks()}', 1, 3, dropout=False)
    stopped(root/f'from_{n_ranks()}_whole', 1, 3, dropout=False, sharded=False)
    return {}

def copied(name):
    new = root/f'{name}_on_{n_ranks()}'
    on_main(lambda: shutil.copytree(root/name, new, dirs_exist_ok=True) and None)
    return new

def going_on(n):
    "What some number of processes has left: in parts, or whole in each process"
    res = {}
    for name in f'from_{n}',f'from_{n}_whole':
        shutil.rmtree(root/f'{name}_on_{n_ranks()}', ignore_errors=True)
        wait_for_all()
        res[f'{name}, in parts'] = resumed(copied(name), dropout=False)
        wait_for_all()
        on_main(lambda: shutil.rmtree(root/f'{name}_on_{n_ranks()}'))
        res[f'{name}, whole'] = resumed(copied(name), dropout=False, shard=None)
    return res

for n in 1,2: cases[f'going_on_from_{n}'] = partial(going_on, n)

# --- what is on the disk ---
@case
def old_ones_go():
    learner(root/'keep', keep=2).fit(3)
    best = [o for o in names(root/'keep') if o.endswith('.shards')]
    on_main(lambda: shutil.copytree(root/'keep'/best[0], root/'keep'/'000099_epoch9_batch1.shards'))
    first = names(root/'keep')
    learner(root/'keep', keep=1, sharded=False).fit(1)
    return dict(first=first, then=names(root/'keep'))

@case
def damaged():
    "Each of the newest files is damaged in another way: the last that is whole is taken, by all"
    res = {}
    for how in 'truncated','altered','missing','no folder','record':
        folder = root/f'damaged_{how}'
        stopped(folder, 1, 3)
        on_main(lambda: damage(how, max(folder.glob('0*.safetensors'))))
        res[how] = quietly(resumed, folder)
    return res

def damage(how, newest):
    part = max(newest.with_suffix('.shards').iterdir())
    content = part.read_bytes()
    if how=='truncated': part.write_bytes(content[:-1])
    if how=='altered': part.write_bytes(content[:-1]+bytes([content[-1]^1]))
    if how=='missing': part.unlink()
    if how=='no folder': shutil.rmtree(part.parent)
    if how=='record': newest.write_bytes(newest.read_bytes()[:-1])

@case
def all_damaged():
    stopped(root/'all_damaged', 0, 1)
    on_main(lambda: [shutil.rmtree(o) for o in (root/'all_damaged').glob('*.shards')])
    try: quietly(resumed, root/'all_damaged')
    except ValueError as e: return dict(text=str(e))

@case
def taken():
    "learn.resume, and fit(resume=file)"
    stopped(root/'taken', 1, 3)
    file = sorted((root/'taken').glob('0*.safetensors'))[1]
    res = {}
    for shard in True,None:
        learn = learner(root/'other', shard=shard).resume(file)
        res[f'taken {shard}'] = result(learn)
        res[f'gone on {shard}'] = resumed(root/f'other_{shard}', resume=file, shard=shard)
    return res

# --- what fails ---
class Full:
    "A disk that is full on one rank for some time, or at a call of some function"
    def __init__(self, name, when, rank, error=None):
        self.name,self.when,self.rank,self.n,self.error = name,when,rank,0,error or OSError(errno.EIO, 'broken')
        self.was = getattr(checkpoints, name)
    def __enter__(self): setattr(checkpoints, self.name, self.call)
    def __exit__(self, *args): setattr(checkpoints, self.name, self.was)
    def call(self, *args, **kwargs):
        self.n += 1
        if self.n-1!=self.when or this_rank()!=self.rank: return self.was(*args, **kwargs)
        return self.fail(*args, **kwargs)
    def fail(self, *args, **kwargs): raise self.error

class FullForParts(Full):
    "What one process writes of its parts fails"
    def fail(self, *args, **kwargs):
        def fails(*args): raise self.error
        own,shard_files._own_files = shard_files._own_files,fails
        try: return self.was(*args, **kwargs)
        finally: shard_files._own_files = own

def with_failure(name, failure, on_error):
    with failure:
        try: res,told = quietly(lambda: learner(root/name, on_error=on_error).fit(1))
        except OSError as e: told = str(e)
    wait_for_all()
    return told,names(root/name)

@case
def failing():
    res = {}
    for on_error in 'warn','raise':
        for rank in 0,1:
            name = f'parts_{rank}_{on_error}'
            res[name] = with_failure(name, FullForParts('write_shards', 1, rank), on_error)
        res[f'record_{on_error}'] = with_failure(f'record_{on_error}', Full('write_packed', 1, 0), on_error)
    return res

@case
def room_is_made():
    "A disk that is full on rank 1: the oldest file and its parts go, and all begin anew"
    def free(folder): return 0
    had,checkpoints._free = checkpoints._free,free
    error = OSError(errno.ENOSPC, 'full')
    try: told = with_failure('room', FullForParts('write_shards', 3, 1, error), 'raise')
    finally: checkpoints._free = had
    return dict(told=told[0], names=told[1])

@case
def refused():
    "Settings that differ"
    try: learner(root/'refused', sharded=this_rank()==0).fit(1)
    except ValueError as e: return dict(text=str(e))

# --- on one rank only: afterwards the processes have parted ---
def on_one_rank(name, rank, *where, **more):
    began = time.monotonic()
    try: learner(root/name, Fail(*where, rank=rank, **more)).fit(4)
    except Exception as e: error = type(e).__name__,str(e)
    return dict(error=error, seconds=time.monotonic()-began, there=sorted(o.name for o in (root/name).iterdir()))

def no_memory(learn):
    def fails(*args, **kwargs): raise MemoryError('no memory for a copy')
    checkpoints.split_state = fails

apart = {f'{name}_{rank}':partial(on_one_rank, f'{name}_{rank}', rank, *where, **more) for rank in (0,1)
         for name,where,more in (('in_validation',(1,1,False),{}),('in_training',(1,3),{}),
                                 ('in_a_save',(1,2),dict(do=no_memory)))}

if __name__=='__main__':
    folder,*wanted = sys.argv[1:]
    root = Path(folder)
    faulthandler.dump_traceback_later(150, exit=True) # where it hangs, if it does
    join_ranks()
    me,n,res = this_rank(),n_ranks(),{}
    for name in wanted:
        print(name, file=sys.stderr, flush=True)
        try:
            with contextlib.redirect_stdout(io.StringIO()): res[name] = {**cases,**apart}[name]()
        except Exception: res[name] = traceback.format_exc()
    torch.save(res, f'{folder}/{n}_{me}.pt')
    if not {*wanted}&{*apart}: wait_for_all()
