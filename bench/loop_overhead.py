"""What a training loop costs: `Learner.fit` and the loops of other libraries against a loop written by hand.

`python bench/loop_overhead.py` trains `nn.Linear(8,1)` with SGD on batches of 16, where nearly all time is overhead,
and
prints a block for each of these, one line for each entrant:
  list        the batches lie in a list
  loader      they come from a `DataLoader` over a `TensorDataset`, which takes its own time to make them
  valid       a list, and after it a validation over as many batches (its exact mean loss, in the hand-written loop too)
The columns:
  us          median over the rounds of the microseconds of a batch (in `valid`, of one to train on and one to
  validate with)
  min, max    over the rounds
  /hand       median over the rounds of the time over that of the hand-written loop with `torch.optim.SGD` in the same
  round
  differs     how far its weights after an epoch are from those of that loop, as a part of the way that these have
  come: it
              is the same training. `-` where the learning rate is another one by intention
In a round every entrant trains for one epoch, in one process, and each round starts with another one. The first
round, in
which things are set up, is not counted. Peers run without logging, bars, checkpoints and clipping; what they keep by
default, such as a smoothed loss, they keep. Ours run with the callbacks that a Learner has by default, with no bar
and no
table unless the line says so. Garbage is collected as usual, but what the libraries hold from their import is set
aside.
On a machine that others use too, `--clock cpu` takes the time that the process had instead of the time that passed.

Then, of ours alone:
  pieces      the default callbacks, each taken away in turn, and what that saves (median of the differences in a
  round); and
              each callback and event by the clock, in microseconds a batch, without what the clock takes
  memory      in a process of its own: resident memory at batch 1,000 and at the last batch of one epoch, and after
  the fit;
              `rest` is the growth without the history, at 16 bytes a number; and the tensors that are alive
What cannot be imported or run is listed at the end."""
import argparse, contextlib, gc, json, logging, math, os, platform, subprocess, sys, tempfile, threading, time, warnings
from functools import partial
from importlib import metadata
from statistics import median

os.environ.setdefault('KERAS_BACKEND', 'torch')
os.environ.setdefault('HF_HUB_OFFLINE', '1')
os.environ.setdefault('TOKENIZERS_PARALLELISM', 'false')

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import optimloop.all as ol
from optimloop.learner import default_callbacks
from common import cpu_name, names_of

# --- the task ---
BS,lr = 16,1e-3

def task(n_batches, kind):
    "Batches of a noisy line in 8 dimensions"
    g = torch.Generator().manual_seed(0)
    x = torch.randn(n_batches*BS, 8, generator=g)
    y = x.sum(1, keepdim=True) + torch.randn(n_batches*BS, 1, generator=g)
    return DataLoader(TensorDataset(x, y), BS) if kind=='loader' else list(zip(x.split(BS), y.split(BS)))

def new_model():
    torch.manual_seed(0)
    return nn.Linear(8, 1)

left_out = {} # from what to why

def leave_out(what, e):
    left_out[what] = f"{type(e).__name__}: {(str(e).strip().splitlines() or ['no message'])[0][:200]}"

# --- by hand ---
class Entrant:
    "A loop that takes part: `start` once, then in each round `prepare`, which is not timed, and `run`, which is"
    version,same_lr = None,True
    def __init__(self, name): self.name = name
    def start(self, train, valid): self.train,self.valid,self.model = train,valid,new_model()
    def prepare(self): pass
    def weights(self): return [p.detach().clone() for p in self.model.parameters()]

class Hand(Entrant):
    def __init__(self, name, opt_func): self.name,self.opt_func = name,opt_func
    def start(self, train, valid):
        super().start(train, valid)
        self.opt = self.opt_func(self.model.parameters(), lr=lr)

    def run(self):
        model,opt = self.model,self.opt
        model.train()
        for xb,yb in self.train:
            loss = F.mse_loss(model(xb), yb)
            loss.backward()
            opt.step()
            opt.zero_grad()
        if self.valid: self.validate(model)

    @torch.no_grad()
    def validate(self, model):
        model.eval()
        total,n = torch.zeros(()),0
        for xb,yb in self.valid:
            total += F.mse_loss(model(xb), yb)*len(xb)
            n += len(xb)
        self.valid_loss = (total/n).item()

# --- ours ---
class Ours(Entrant):
    def __init__(self, name, fit='fit', without=(), bar=False, **kwargs):
        self.name,self.fit,self.without,self.bar,self.kwargs = name,fit,without,bar,kwargs
        self.same_lr = fit=='fit'

    def start(self, train, valid):
        super().start(train, valid)
        self.learn = ol.Learner((train,valid), self.model, F.mse_loss, opt_func=ol.SGD, lr=lr, **self.kwargs)
        self.learn.remove_cbs(self.without)
        if not self.bar:
            self.learn.remove_cb(ol.ProgressCallback)
            self.learn.logger = lambda cells: None

    def run(self):
        with terminal() if self.bar else contextlib.nullcontext(): getattr(self.learn, self.fit)(1)

@contextlib.contextmanager
def terminal():
    "In this context stdout and stderr are a terminal, whose other end is read and forgotten"
    import pty
    ours,theirs = pty.openpty()
    def read():
        with contextlib.suppress(OSError): # the terminal was closed
            while os.read(ours, 4096): pass
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        with os.fdopen(theirs, 'w') as f, contextlib.redirect_stdout(f), contextlib.redirect_stderr(f): yield
    finally:
        reader.join(1)
        os.close(ours)

# --- peers ---
class Fastai(Entrant):
    version = 'fastai'
    def start(self, train, valid):
        from fastai.learner import Learner
        from fastai.optimizer import SGD
        import fastai.callback.progress # noqa: F401 (it has `no_bar`)
        super().start(train, valid)
        class Loaders: # anything with these will do
            device,n_inp,loss_func,path = torch.device('cpu'),1,None,'.'
            def __init__(self): self.train,self.valid = train,valid or []
            def __getitem__(self, i): return (self.train,self.valid)[i]
        self.learn = Learner(Loaders(), self.model, loss_func=F.mse_loss, opt_func=SGD, lr=lr, wd=0.)

    def run(self):
        with self.learn.no_bar(), self.learn.no_logging(): self.learn.fit(1)

class Lightning(Entrant):
    version = 'lightning'
    def start(self, train, valid):
        import lightning.pytorch as pl
        for o in ('lightning.pytorch','lightning.fabric'): logging.getLogger(o).setLevel(logging.ERROR)
        super().start(train, valid)
        class Module(pl.LightningModule):
            def __init__(self, net): super().__init__(); self.net = net
            def training_step(self, batch, i): return F.mse_loss(self.net(batch[0]), batch[1])
            def validation_step(self, batch, i):
                self.log('valid_loss', F.mse_loss(self.net(batch[0]), batch[1]), batch_size=BS)
            def configure_optimizers(self): return torch.optim.SGD(self.parameters(), lr=lr)
        self.pl,self.module = pl,Module(self.model)

    def prepare(self):
        self.trainer = self.pl.Trainer(max_epochs=1, accelerator='cpu', logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0)

    def run(self): self.trainer.fit(self.module, one_loader(self.train), one_loader(self.valid))

def one_loader(dl):
    "Lightning takes a list for several loaders"
    return Repeat(dl, len(dl)) if isinstance(dl, list) else dl

class HFTrainer(Entrant):
    version = 'transformers'
    def start(self, train, valid):
        from transformers import Trainer, TrainingArguments
        super().start(train, valid)
        class OurTrainer(Trainer):
            def get_train_dataloader(self): return train
            def get_eval_dataloader(self, *args): return valid
            def compute_loss(self, model, inputs, *args, **kwargs): return F.mse_loss(model(inputs[0]), inputs[1])
            def prediction_step(self, model, inputs, *args, **kwargs):
                with torch.no_grad(): return self.compute_loss(model, inputs),None,None
        self.folder = tempfile.TemporaryDirectory()
        args = TrainingArguments(self.folder.name, num_train_epochs=1, per_device_train_batch_size=BS,
            per_device_eval_batch_size=BS,
            lr_scheduler_type='constant', learning_rate=lr, max_grad_norm=0., use_cpu=True, report_to='none',
            save_strategy='no',
            logging_strategy='no', eval_strategy='epoch' if valid else 'no', disable_tqdm=True,
            dataloader_pin_memory=False)
        self.trainer = OurTrainer(self.model, args, train_dataset=[0]*len(train)*BS, eval_dataset=[0]*len(train)*BS
            if valid else None,
                                  optimizers=(torch.optim.SGD(self.model.parameters(), lr=lr),None))
        from transformers.trainer_callback import PrinterCallback
        self.trainer.remove_callback(PrinterCallback)

    def run(self): self.trainer.train()

class Accelerate(Hand):
    version = 'accelerate'
    def __init__(self, name): super().__init__(name, torch.optim.SGD)
    def start(self, train, valid):
        from accelerate import Accelerator
        super().start(train, valid)
        self.acc = Accelerator(cpu=True)
        self.model,self.opt,self.train,self.valid = self.acc.prepare(self.model, self.opt, train, valid)

    def run(self):
        model,opt,acc = self.model,self.opt,self.acc
        model.train()
        for xb,yb in self.train:
            loss = F.mse_loss(model(xb), yb)
            acc.backward(loss)
            opt.step()
            opt.zero_grad()
        if self.valid: self.validate(model)

class Ignite(Entrant):
    version = 'pytorch-ignite'
    def start(self, train, valid):
        from ignite.engine import Events, create_supervised_evaluator, create_supervised_trainer
        from ignite.metrics import Loss
        super().start(train, valid)
        self.engine = create_supervised_trainer(self.model, torch.optim.SGD(self.model.parameters(), lr=lr), F.mse_loss)
        if not valid: return
        evaluator = create_supervised_evaluator(self.model, {'loss': Loss(F.mse_loss)})
        self.engine.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: evaluator.run(valid))

    def run(self): self.engine.run(self.train, max_epochs=1)

class Keras(Entrant):
    version = 'keras'
    def start(self, train, valid):
        import keras
        if keras.backend.backend()!='torch':
            raise RuntimeError(f"the backend is {keras.backend.backend()}: set KERAS_BACKEND=torch")
        super().start(train, valid)
        self.net = keras.Sequential([keras.layers.Input((8,)), keras.layers.Dense(1)])
        self.net.set_weights([self.model.weight.detach().numpy().T, self.model.bias.detach().numpy()])
        self.net.compile(optimizer=keras.optimizers.SGD(lr), loss='mse', jit_compile=False)

    def given(self, dl):
        "Keras takes a loader as it is, and of a list a generator; at the end of one it needs a new one"
        return dl if dl is None or isinstance(dl, DataLoader) else (o for o in dl)
    def prepare(self):
        steps = {} if isinstance(self.train, DataLoader) else dict(steps_per_epoch=len(self.train))
        if steps and self.valid: steps['validation_steps'] = len(self.valid)
        self.fit = partial(self.net.fit, self.given(self.train), validation_data=self.given(self.valid), epochs=1,
            verbose=0, **steps)

    def run(self): self.fit()
    def weights(self): return [torch.tensor(o).T if o.ndim==2 else torch.tensor(o) for o in self.net.get_weights()]

peers = dict(fastai=Fastai, lightning=Lightning, hf_trainer=HFTrainer, accelerate=Accelerate, ignite=Ignite,
    keras=Keras)
HAND = 'by hand, torch.optim.SGD'

def our_entrants(kind):
    res = [Hand(HAND, torch.optim.SGD), Hand('by hand, our SGD', ol.SGD),
           Ours('ours: fit, no callbacks', default_cbs=False), Ours('ours: fit')]
    if kind=='valid': return res
    return res + [Ours('ours: fit_one_cycle', fit='fit_one_cycle')] + ([Ours('ours: fit, bar in a terminal', bar=True),
                  Ours('ours: fit_one_cycle, bar', fit='fit_one_cycle', bar=True)] if kind=='list' else [])

# --- measuring ---
clock = time.perf_counter

def seconds(entrant):
    entrant.prepare()
    gc.collect()
    start = clock()
    entrant.run()
    return clock()-start

def difference(ours, theirs, start):
    "Distance between two ends, as a part of the way to the first"
    far,way = (sum((a-b).double().square().sum().item() for a,b in zip(ours, o)) for o in (theirs,start))
    return math.sqrt(far/way)

def warm_up(entrants, kind, n_batches):
    "Train each for an epoch; those that are fit to go on, each with its `differs`"
    res,first = [],None
    for e in entrants:
        try:
            e.start(task(n_batches, kind), task(n_batches, kind) if kind=='valid' else None)
            seconds(e)
            if first is None: first = e.weights()
            e.differs = difference(first, e.weights(), new_model().state_dict().values()) if e.same_lr else None
            if e.differs is not None and not e.differs<1e-3:
                raise RuntimeError(f"it trains otherwise: its weights are {e.differs:.1e} off")
        except Exception as exc:
            if not e.version: raise
            leave_out(f'{kind}: {e.name}', exc)
            continue
        res.append(e)
    return res

def run_rounds(entrants, n_rounds):
    "From name to the seconds of an epoch in each round"
    times = {e.name:[] for e in entrants}
    gc.collect()
    gc.freeze() # what the libraries hold is not looked through for garbage again and again
    for i in range(n_rounds):
        j = i%len(entrants)
        for e in entrants[j:]+entrants[:j]: times[e.name].append(seconds(e))
    gc.unfreeze()
    return times

def ratio(times, a, b): return median(x/y for x,y in zip(times[a], times[b]))

def bench_loops(args, kind):
    "Measure and print one block; a list of dictionaries, one for each entrant"
    entrants = warm_up(our_entrants(kind) + [peers[o](o) for o in args.peers], kind, args.batches)
    times,rows = run_rounds(entrants, args.rounds),[]
    print(f"\n{kind}:\n  {'':<32}{'us':>8}{'min':>8}{'max':>8}{'/hand':>8}{'differs':>9}")
    for e in entrants:
        us = [1e6*t/args.batches for t in times[e.name]]
        rows.append(dict(block=kind, entrant=e.name, us=median(us), min=min(us), max=max(us),
            to_hand=ratio(times, e.name, HAND),
                         differs=e.differs, rounds_us=us))
        o = rows[-1]
        print(f"  {e.name:<32}{o['us']:8.1f}{o['min']:8.1f}{o['max']:8.1f}{o['to_hand']:8.2f}"
              + (f"{e.differs:9.0e}" if e.differs is not None else f"{'-':>9}"), flush=True)
    return rows

# --- pieces ---
def bench_pieces(args):
    whole,names = 'ours: fit',[o.__name__ for o in default_callbacks if o is not ol.ProgressCallback]
    entrants = [Ours(whole), *(Ours(f'without {o}', without=o) for o in names),
                Ours('no callbacks', default_cbs=False), Hand('by hand, our SGD', ol.SGD)]
    times,rows = run_rounds(warm_up(entrants, 'list', args.batches), args.rounds),[]
    print(f"\npieces:\n  {'':<32}{'us':>8}{'saves':>8}")
    for e in entrants:
        saves = median(1e6*(a-b)/args.batches for a,b in zip(times[whole], times[e.name]))
        rows.append(dict(block='pieces', entrant=e.name, us=1e6*median(times[e.name])/args.batches, saves_us=saves))
        print(f"  {e.name:<32}{rows[-1]['us']:8.1f}" + (f"{saves:8.1f}" if e.name!=whole else ''))
    return rows + by_the_clock(args)

def timed(f, spent, key):
    "`f`, with its seconds added to `spent[key]`"
    clock = time.perf_counter
    def g():
        start = clock()
        f()
        spent[key] += clock()-start
    return g

def clock_cost(n=100_000):
    "Seconds that the clock shows for a function that does nothing"
    spent = {'nothing':0.}
    g = timed(lambda: None, spent, 'nothing')
    for _ in range(n): g()
    return spent['nothing']/n

def by_the_clock(args):
    "Each callback and event, in fits of their own: with fit_one_cycle's schedule, and a bar in a terminal"
    spent = {}
    ours = Ours('', bar=True)
    ours.start(task(args.batches, 'list'), None)
    class Schedule(ol.ParamScheduler): name = 'schedule'
    sched = Schedule({o:ol.combined_cos(.25, lr/25, lr, lr/1e5) for o in ['lr']})
    ours.learn.add_cb(sched)
    for cb in ours.learn.cbs:
        for o in vars(ol.event):
            if o[:6]!='after_' or 'cancel' not in o: time_event(cb, o, spent)
    for i in range(args.rounds+1):
        ours.run()
        if i==0: spent.update(dict.fromkeys(spent, 0.)) # the first fit warms up
    cost,res = clock_cost(),[]
    for (cb,event),t in spent.items():
        us = 1e6*(t/args.rounds/args.batches - cost*(event in per_batch))
        if us>.05: res.append(dict(block='by the clock', entrant=f'{cb}.{event}', us=us))
    print("\nby the clock, us a batch; what takes below 0.05 is left out:")
    for o in sorted(res, key=lambda o: -o['us']): print(f"  {o['entrant']:<40}{o['us']:8.2f}")
    return res

per_batch = {'before_batch','after_pred','after_loss','before_backward','after_backward','before_step','after_step',
    'after_batch'}

def time_event(cb, event, spent):
    if getattr(type(cb), event, None) is None: return
    key = type(cb).__name__,event
    spent[key] = 0.
    setattr(cb, event, timed(getattr(cb, event), spent, key))

# --- memory ---
class Repeat:
    "The batches again and again, `n` in all"
    def __init__(self, batches, n): self.batches,self.n = batches,n
    def __len__(self): return self.n
    def __iter__(self): return (self.batches[i%len(self.batches)] for i in range(self.n))

def resident():
    with open('/proc/self/statm') as f: return int(f.read().split()[1])*os.sysconf('SC_PAGE_SIZE')

def n_tensors(): return sum(isinstance(o, torch.Tensor) for o in gc.get_objects())

class Look(ol.Callback):
    "What is in use at batches 1,000 and `n`"
    order = 1000
    def __init__(self, n): self.n,self.seen = n,[]
    def after_batch(self):
        if self.iter+1 in (1000,self.n): self.look()
    def look(self): gc.collect(); self.seen.append((resident(),n_tensors()))

def probe(n):
    ours = Ours('', fit='fit_one_cycle')
    ours.start(task(1000, 'list'), None)
    ours.run() # all that is made once is made
    look = Look(n)
    ours.learn.dls.train = Repeat(ours.train, n)
    ours.learn.fit_one_cycle(1, cbs=look)
    look.look()
    n_numbers = len(ours.learn.recorder.losses) + sum(map(len, ours.learn.recorder.hps.values()))
    return dict(block='memory', batches=n, numbers=n_numbers, seen=look.seen)

def bench_memory(args):
    cmd = [sys.executable, os.path.abspath(__file__), '--probe', '--memory', str(args.memory), '--threads',
        str(args.threads)]
    p = subprocess.run(cmd, capture_output=True, text=True)
    try:
        if p.returncode: raise RuntimeError((p.stderr.strip().splitlines() or ['no message'])[-1])
        res = json.loads(p.stdout.splitlines()[-1])
    except Exception as e: return leave_out('memory', e) or []
    first,last,after = res['seen']
    history = 16*res['numbers']*(1-1000/args.memory)
    print(f"\nmemory, fit_one_cycle of {args.memory:,} batches; "
          f"history: {res['numbers']:,} numbers, {history/1e6:.1f} MB:")
    print(f"  {'':<32}{'MB':>8}{'grown':>8}{'rest':>8}{'tensors':>9}")
    for name,(rss,tensors) in (('at batch 1,000',first), (f'at batch {args.memory:,}',last), ('after the fit',after)):
        grown = rss-first[0]
        print(f"  {name:<32}{rss/1e6:8.1f}{grown/1e6:8.1f}"
            + (f"{(grown-history)/1e6:8.1f}" if rss!=first[0] else f"{'':8}") + f"{tensors:9,}")
    return [dict(res, history_mb=history/1e6, rest_mb=(last[0]-first[0]-history)/1e6,
        rest_after_mb=(after[0]-first[0]-history)/1e6)]

# --- command line ---
blocks = 'list','loader','valid','pieces','memory'

def parser():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    def add(name, default, help, **kwargs):
        p.add_argument(name, default=default, help=f'{help}; default: {default}', **kwargs)
    add('--blocks', ','.join(blocks), 'what to measure', type=names_of('block', blocks), metavar='A,B')
    add('--peers', ','.join(peers), "whom to measure against, '' for the hand-written loop alone",
        type=names_of('peer', peers), metavar='A,B')
    add('--batches', 2000, 'batches in an epoch', type=int, metavar='N')
    add('--rounds', 11, 'rounds, each with every entrant once', type=int, metavar='N')
    add('--threads', 1, 'threads of torch', type=int, metavar='N')
    add('--clock', 'wall', 'wall, or on a machine that others use too, cpu: the time that this process had',
        choices=['wall','cpu'])
    add('--memory', 100_000, 'batches for the block `memory`, above 1,000', type=int, metavar='N')
    p.add_argument('--out', metavar='FILE.json', help='write all figures there')
    p.add_argument('--probe', action='store_true', help=argparse.SUPPRESS) # what `bench_memory` starts
    return p

def about(args):
    "What was measured, on what, with what"
    versions = {}
    for o in ('torch', *(o.version for o in peers.values())):
        try: versions[o] = metadata.version(o)
        except metadata.PackageNotFoundError: versions[o] = None
    return dict(device=cpu_name(), cpus=os.cpu_count(), python=platform.python_version(), versions=versions,
        date=time.strftime('%Y-%m-%d'),
                **{k:getattr(args, k) for k in ('threads','clock','rounds','batches')})

def main():
    global clock
    args = parser().parse_args()
    if min(args.threads, args.rounds, args.batches)<1 or args.memory<=1000:
        sys.exit("--threads, --rounds and --batches must be 1 or more, --memory above 1000")
    if args.clock=='cpu': clock = time.process_time
    torch.set_num_threads(args.threads)
    warnings.filterwarnings('ignore')
    if args.probe: return print(json.dumps(probe(args.memory)))
    info,rows = about(args),[]
    print(', '.join(f'{k} {v}' for k,v in info.items() if k!='versions'),
        *(f'{k} {v}' for k,v in info['versions'].items() if v), sep='\n  ', flush=True)
    for o in args.blocks:
        rows += bench_pieces(args) if o=='pieces' else bench_memory(args) if o=='memory' else bench_loops(args, o)
        if args.out:
            with open(args.out, 'w') as f: json.dump(dict(about=info, rows=rows, left_out=left_out), f, indent=1)
    if left_out: print('\nleft out:', *(f'{k}: {v}' for k,v in left_out.items()), sep='\n  ')

if __name__=='__main__': main()
