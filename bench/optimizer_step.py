"""How long a step takes: every optimizer of ours, by every engine, against the optimizers of other libraries.

`python bench/optimizer_step.py` prints a block for each set of parameters and optimizer, one line for each entrant:
  ms          median over the rounds of the time of a step
  /eager      times the fastest peer of the round that is neither fused nor compiled; likewise
  /fused      times torch's fused optimizer, and
  /any        times the fastest peer of all
  /floor      times the memory floor: each of the tensors that the optimizer needs read once, and each that it changes
              written once (AdamW: 4 and 3), as fast as a large tensor is copied in the same round; and
  /inplace    times the same bytes as fast as a large tensor is multiplied in place. A copy may also have to read what
              it overwrites, so that a step in place can be below /floor 1; what fits in the cache can be below both
  extra MB    most memory in use during a step, beyond parameters, gradients and the optimizer's state
  differs     how far its weights are from those of our loop after some steps, as a part of the way that these have
              come; a large number is another formula (a debiased average or none, eps inside the root)
Ratios are medians over rounds. In a round every entrant is measured once, in one process, and each round starts with
another one. Gradients are set once; first steps are never timed. What cannot be imported or run is listed at the end.
A process of its own with an empty cache tells what compilation costs, and when it happens again while lr and mom follow
a 1cycle schedule."""
import argparse, gc, inspect, json, math, os, platform, signal, subprocess, sys, tempfile, time, warnings
from contextlib import contextmanager
from importlib import import_module, metadata
from statistics import median

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from optimloop import all as ol
from optimloop.optimizers import engines as ol_engines
from common import cpu_name, names_of

# --- parameter sets ---
def resnet34():
    "Stem, blocks of two 3x3 convolutions with their norms, downsampling where the width changes, head"
    conv = lambda i,o,k: [(o,i,k,k), (o,), (o,)]
    res,n_in = conv(3, 64, 7),64
    for n,blocks in zip((64,128,256,512), (3,4,6,3)):
        for _ in range(blocks):
            res += conv(n_in, n, 3) + conv(n, n, 3) + (conv(n_in, n, 1) if n_in!=n else [])
            n_in = n
    return res + [(1000,512), (1000,)]

def gpt2(d=768):
    "Token and position embeddings, 12 blocks, the last norm; the head is the token embedding"
    block = [(d,), (d,), (d,3*d), (3*d,), (d,d), (d,), (d,), (d,), (d,4*d), (4*d,), (4*d,d), (d,)]
    return [(50257,d), (1024,d)] + block*12 + [(d,), (d,)]

sets = dict(mlp=[(50,784), (50,), (10,50), (10,)], resnet34=resnet34(), gpt2=gpt2(), small=[(100,)]*1000,
            tiny=[(1,8), (1,)])
assert (len(sets['resnet34']),sum(map(math.prod, sets['resnet34']))) == (110,21_797_672)
assert (len(sets['gpt2']),sum(map(math.prod, sets['gpt2']))) == (148,124_439_808)

def tensors(shapes, device, seed, scale):
    g = torch.Generator().manual_seed(seed)
    return [(torch.randn(s, generator=g)*scale).to(device) for s in shapes]

# --- optimizers: ours, and what other libraries have of the same kind, with the same hyper-parameters ---
lr,betas = 1e-3,(.9,.99)
adam,b = dict(mom=.9, sqr_mom=.99, eps=1e-8),dict(betas=betas, eps=1e-8)
ours = dict( # builder, hyper-parameters, tensors that must be read, and written
    adamw   =(ol.Adam,    dict(adam, wd=.01), 4, 3), sgd     =(ol.SGD,     {}, 2, 1),
    momentum=(ol.SGD,     dict(mom=.9),       3, 2), rmsprop =(ol.RMSProp, dict(sqr_mom=.99, eps=1e-8), 3, 2),
    lamb    =(ol.Lamb,    adam,               4, 3), radam   =(ol.RAdam,   adam, 4, 3),
    qhadam  =(ol.QHAdam,  adam,               4, 3), lion    =(ol.Lion,    dict(mom=.9, avg_mom=.99), 3, 2),
    adan    =(ol.Adan,    dict(mom=.98, diff_mom=.92, sqr_mom=.99, eps=1e-8), 6, 5))

torch_has = dict(adamw=('AdamW', dict(b, weight_decay=.01)), sgd=('SGD', {}), momentum=('SGD', dict(momentum=.9)),
    rmsprop=('RMSprop', dict(alpha=.99, eps=1e-8)), radam=('RAdam', b))
adan_betas = dict(betas=(.98,.92,.99), eps=1e-8)
others_have = {
    'fastai.optimizer': dict(adamw=('Adam', dict(adam, wd=.01)), sgd=('SGD', {}), momentum=('SGD', dict(mom=.9)),
        rmsprop=('RMSProp', dict(sqr_mom=.99)), lamb=('Lamb', adam), radam=('RAdam', adam),
        qhadam=('QHAdam', adam)),
    'timm.optim': dict(adamw=('AdamWLegacy', dict(b, weight_decay=.01)), sgd=('SGDW', {}),
                       momentum=('SGDW', dict(momentum=.9)),
        rmsprop=('RMSpropTF', dict(alpha=.99, eps=1e-8)),
        lamb=('Lamb', dict(b, weight_decay=0., max_grad_norm=None, always_adapt=True)),
        radam=('RAdamLegacy', b), lion=('Lion', dict(betas=betas)), adan=('Adan', adan_betas)),
    'pytorch_optimizer': dict(lamb=('Lamb', b), radam=('RAdam', b), qhadam=('QHAdam', dict(b, nus=(.7,1.))),
        lion=('Lion', dict(betas=betas)), adan=('Adan', adan_betas)),
    'heavyball': dict(adamw=('AdamW', dict(b, weight_decay=.01)), sgd=('SGD', dict(beta=0.)),
                      momentum=('SGD', dict(beta=.9)),
        rmsprop=('RMSprop', b))}

left_out = {} # from what to why

def leave_out(what, e):
    left_out[what] = f"{type(e).__name__}: {(str(e).strip().splitlines() or ['no message'])[0][:200]}"

def library(name):
    if name in left_out: return None
    try: return import_module(name)
    except Exception as e: leave_out(name, e)

def compiled_step(opt): # as torch's tutorial does
    def step(): opt.step()
    return torch.compile(step, fullgraph=False)

def with_grads(params, grads, own=False):
    "Copies of `params`, with `grads` themselves, or their `own` copies, as gradients"
    res = [nn.Parameter(p.clone()) for p in params]
    for p,g in zip(res, grads): p.grad = g.clone() if own else g
    return res

class Entrant:
    "An optimizer that takes part: `build(params)` gives it, `kind` is ours, eager, fused or compiled"
    def __init__(self, name, kind, build, wrap=None, before=lambda: None):
        self.name,self.kind,self.build,self.wrap,self.before = name,kind,build,wrap,before
        self.own_grads = name.startswith('pytorch_optimizer') # its Adan turns their signs in every step

    def start(self, params, grads):
        self.params = with_grads(params, grads, self.own_grads)
        self.before()
        self.opt = self.build(self.params)
        self.step = self.wrap(self.opt) if self.wrap else self.opt.step
        return self

    def stop(self): self.params = self.opt = self.step = None

def our_entrants(name, engine_names):
    build,hypers,*_ = ours[name]
    return [Entrant(f'ours {o}', 'ours', lambda ps, o=o: build(ps, lr=lr, engine=o, **hypers)) for o in engine_names]

def variants(label, cls, hypers, compile, first=''):
    "One entrant for each value that an optimizer's arguments `foreach` and `fused` allow"
    takes = inspect.signature(cls).parameters
    def build(**kwargs): return lambda ps: cls(ps, lr=lr, **hypers, **kwargs)
    res = [Entrant(label, 'eager', build(**({'foreach':False} if 'foreach' in takes else {})))]
    if 'foreach' in takes: res.append(Entrant(f'{label} foreach', 'eager', build(foreach=True)))
    if 'fused' in takes: res.append(Entrant(f'{label} fused', 'fused', build(fused=True)))
    last = 'foreach' if 'foreach' in takes else ''
    if compile:
        res.append(Entrant(f'{label} {last} compiled'.replace('  ', ' '), 'compiled',
                           build(**({'foreach':True} if last else {})), compiled_step))
    return res

def heavyball_entrants(lib, name, compile):
    "It compiles by itself, unless a global of its says no; gradients are kept as the others keep them"
    cls,hypers = others_have['heavyball'][name]
    from heavyball import utils
    own = utils.compile_mode or 'max-autotune-no-cudagraphs'
    def build(ps):
        opt = getattr(lib, cls)(ps, lr=lr, **hypers)
        opt.consume_grad = False
        return opt
    def set_mode(mode): utils.compile_mode = mode
    return [Entrant(f'heavyball{" compiled" if o else ""}', 'compiled' if o else 'eager', build,
                    before=lambda o=o: set_mode(o))
            for o in ([None,own] if compile else [None])]

def peers(name, compile):
    res = []
    if name in torch_has:
        res += variants('torch', getattr(torch.optim, torch_has[name][0]), torch_has[name][1], compile)
    for lib_name,has in others_have.items():
        lib = library(lib_name) if name in has else None
        if lib is None: continue
        label = lib_name.split('.')[0]
        if label=='heavyball': res += heavyball_entrants(lib, name, compile)
        else: res += variants(label, getattr(lib, has[name][0]), has[name][1], compile and label!='fastai')
    return res

# --- measuring ---
def sync(device):
    if device=='cuda': torch.cuda.synchronize()

def seconds(entrant, n, device):
    "Of one step, the mean of `n` in a row"
    entrant.before()
    step = entrant.step
    sync(device)
    start = time.perf_counter()
    for _ in range(n): step()
    sync(device)
    return (time.perf_counter()-start)/n

class Stream:
    "A pass over a large tensor, for the bandwidth: a copy of it, or a product in place"
    n,n_numbers,before = 1,1<<26,staticmethod(lambda: None)
    def __init__(self, name, device):
        self.name,self.bytes = name,8*self.n_numbers
        a = torch.ones(self.n_numbers, device=device)
        b = torch.ones_like(a) if name=='copy' else None
        self.step = (lambda: b.copy_(a)) if name=='copy' else (lambda: a.mul_(1.))

# steps before the weights are compared; before any time is taken (RAdam's formula changes at its 6th)
N_CHECK,N_WARM = 3,10

def difference(params, others, start):
    "Distance between two ends, as a part of the way to the first"
    far = sum((a-b).double().square().sum().item() for a,b in zip(params, others))
    way = sum((a-b).double().square().sum().item() for a,b in zip(params, start))
    return math.sqrt(far/way)

@contextmanager
def within(limit):
    "`TimeoutError` after `limit` seconds"
    def stop(*args): raise TimeoutError(f"its first steps took longer than {limit} s (--patience)")
    old = signal.signal(signal.SIGALRM, stop)
    signal.alarm(limit)
    try: yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)

def warm_up(entrants, name, start, grads, device, patience):
    "Take the first steps; which entrants are fit to go on, each with its `differs` and with `n`, its steps in a round"
    ref = our_entrants(name, ['loop'])[0].start(start, grads)
    for _ in range(N_CHECK): ref.step()
    res,sums = [],[g.double().sum().item() for g in grads]
    for e in entrants:
        try:
            e.start(start, grads)
            with within(patience):
                for _ in range(N_CHECK): e.step()
                e.differs = difference(ref.params, e.params, start)
                for _ in range(N_WARM-N_CHECK): e.step()
            once = min(seconds(e, 1, device) for _ in range(3))
        except Exception as exc:
            if e.kind=='ours': raise
            leave_out(f'{name}: {e.name}', exc)
            e.stop()
            continue
        e.n = max(1, min(2000, round(.02/once)))
        if e.kind=='ours' and not e.differs<1e-4:
            raise AssertionError(f"{name}: {e.name} is {e.differs:.1e} from the loop's weights")
        assert sums==[g.double().sum().item()
                      for g in grads], f"{name}: {e.name} changes the gradients, which all entrants share"
        res.append(e)
    return res

def run_rounds(entrants, n_rounds, device):
    "From name to the seconds of a step in each round"
    times = {e.name:[] for e in entrants}
    gc.collect()
    gc.disable()
    for i in range(n_rounds+1):
        j = i%len(entrants)
        for e in entrants[j:]+entrants[:j]:
            t = seconds(e, e.n, device)
            if i: times[e.name].append(t) # the first round warms up
    gc.enable()
    return times

def ratios(times, mine, rivals):
    "Median over rounds of one entrant's time over the best of its rivals' in that round; `None` without rivals"
    rivals = [times[o] for o in rivals]
    return median(t/min(others) for t,*others in zip(times[mine], *rivals)) if rivals else None

# --- memory ---
def state_bytes(opt):
    found = {o.untyped_storage().data_ptr():o.untyped_storage().nbytes()
             for o in tree_leaves([dict(s) for s in opt.state.values()])
             if isinstance(o, torch.Tensor)}
    return sum(found.values())

def peak_extra(entrant, start, grads, device, n_steps=7):
    "Most bytes in use during the last of some steps, beyond parameters, gradients and state, by torch's allocator"
    params = with_grads(start, grads, entrant.own_grads)
    entrant.before()
    def steps(last):
        opt = entrant.build(params)
        for _ in range(n_steps-1): opt.step()
        last(opt)
        return opt
    gc.collect()
    return max(0, (_peak_cuda if device=='cuda' else _peak_cpu)(steps))

def _peak_cuda(steps):
    before = torch.cuda.memory_allocated()
    def last(opt):
        torch.cuda.reset_peak_memory_stats()
        opt.step()
    opt = steps(last)
    return torch.cuda.max_memory_allocated() - before - state_bytes(opt)

@contextmanager
def quiet():
    "Without what the profiler's own code writes to stderr"
    saved,sink = os.dup(2),os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 2)
    try: yield
    finally:
        os.dup2(saved, 2)
        os.close(saved), os.close(sink)

def _peak_cpu(steps):
    def last(opt):
        with torch.profiler.record_function('last step'): opt.step()
    with quiet(), torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as prof:
        opt = steps(last)
    events = list(prof.profiler.kineto_results.events())
    begin = next(e.start_ns() for e in events if e.name()=='last step')
    in_use = peak = 0
    for e in sorted((e for e in events if e.name()=='[memory]'), key=lambda e: e.start_ns()):
        if e.start_ns()>=begin: peak = max(peak, in_use)
        in_use += e.nbytes()
    return max(peak, in_use) - state_bytes(opt)

# --- what compilation costs: in a process of its own ---
def find_entrant(name, entrant):
    return next(e for e in our_entrants(name, ['compiled']) + peers(name, compile=True) if e.name==entrant)

class Compilations:
    "Counts them"
    def __init__(self):
        from torch._dynamo.callback import callback_handler
        self.n = 0
        callback_handler.register_start_callback(self.count)

    def count(self, *args): self.n += 1

    def during(self, f):
        "Is something compiled while `f` runs?"
        before = self.n
        f()
        return self.n>before

def probe(name, entrant, set_name, device):
    "Seconds until the first compiled step is done, of all steps that compile; which these are, here and in a 1cycle"
    e = find_entrant(name, entrant).start(tensors(sets[set_name], device, 0, .02),
                                          tensors(sets[set_name], device, 1, .01))
    counter,times = Compilations(),[]
    compiles = [counter.during(lambda: times.append(seconds(e, 1, device))) for _ in range(N_WARM+5)]
    e.stop()
    res = dict(optimizer=name, entrant=entrant, set=set_name, first_s=times[0],
               first_compiled_s=sum(times[:compiles.index(True)+1]),
               compile_s=sum(t for t,o in zip(times, compiles) if o),
               compiled_in=[i+1 for i,o in enumerate(compiles) if o])
    if e.kind=='ours': res['compiled_in_1cycle'] = one_cycle(e, device)
    return res

def one_cycle(entrant, device, n=1000):
    "Numbers, from 1, of the steps in which something is compiled, of `n` in which lr and mom follow cosines"
    torch.compiler.reset()
    ol_engines._compiled.clear()
    counter = Compilations() # the reset forgets who counts
    e,res = entrant.start(tensors(sets['small'], device, 0, .02), tensors(sets['small'], device, 1, .01)),[]
    for i in range(n):
        up = (1-math.cos(2*math.pi*i/n))/2
        e.opt.set_hypers(lr=1e-5+1e-3*up, **({'mom':.95-.1*up} if 'mom' in e.opt.defaults else {}))
        if counter.during(e.step): res.append(i+1)
    return res

def run_probe(args, name, entrant):
    with tempfile.TemporaryDirectory() as cache:
        env = dict(os.environ, TORCHINDUCTOR_CACHE_DIR=cache, TRITON_CACHE_DIR=f'{cache}/triton',
                   OMP_NUM_THREADS=str(args.threads))
        cmd = [sys.executable, os.path.abspath(__file__), '--probe', f'{name}/{entrant}', '--cold', args.cold,
               '--threads', str(args.threads), '--device', args.device]
        p = subprocess.run(cmd, env=env, capture_output=True, text=True)
    try:
        if p.returncode: raise RuntimeError((p.stderr.strip().splitlines() or ['no message'])[-1])
        return json.loads(p.stdout.splitlines()[-1])
    except Exception as e: leave_out(f'{name}: cold start of {entrant}', e)

# --- one set and optimizer ---
def bench_one(args, set_name, name):
    "Measure and print; a list of dictionaries, one for each entrant"
    device,shapes = args.device,sets[set_name]
    start,grads = tensors(shapes, device, 0, .02),tensors(shapes, device, 1, .01)
    # `batched` is the default, whatever it does with so few
    engine_names = ['batched'] if set_name=='tiny' else args.engines
    if args.compiled_peers:
        torch.compiler.reset() # or the wrapped steps of all optimizers would share one limit of recompilations
        ol_engines._compiled.clear()
    compile = args.compiled_peers and set_name!='tiny'
    entrants = warm_up(our_entrants(name, engine_names) + peers(name, compile), name, start, grads, device,
                       args.patience)
    streams = [Stream(o, device) for o in ('copy','in place')]
    times = run_rounds(streams+entrants, args.rounds, device)
    for e in entrants: e.stop()
    for o in streams: o.step = None
    gc.collect()
    _,_,n_read,n_written = ours[name]
    n_bytes = 4*(n_read+n_written)*sum(map(math.prod, shapes))
    for o in streams: times[f'floor, {o.name}'] = [t*n_bytes/o.bytes for t in times[o.name]]
    kinds = {k:[e.name for e in entrants if e.kind==k] for k in ('eager','fused','compiled')}
    fused,everyone = [o for o in kinds['fused'] if o.startswith('torch')],sum(kinds.values(), [])
    def best(names): return min(names, key=lambda o: median(times[o]), default=None)
    rows = []
    for e in entrants:
        rows.append(dict(set=set_name, optimizer=name, entrant=e.name, kind=e.kind, ms=1e3*median(times[e.name]),
            to_eager=ratios(times, e.name, kinds['eager']), to_fused=ratios(times, e.name, fused),
            to_any=ratios(times, e.name, everyone),
            to_floor=ratios(times, e.name, ['floor, copy']),
            to_inplace=ratios(times, e.name, ['floor, in place']), floor_ms=1e3*median(times['floor, copy']),
            inplace_ms=1e3*median(times['floor, in place']), best_eager=best(kinds['eager']), best_any=best(everyone),
            to_each={o:ratios(times, e.name, [o]) for o in everyone} if e.kind=='ours' else None,
            differs=e.differs, extra_mb=extra_mb(e, start, grads, device), steps_a_round=e.n,
            rounds_ms=[1e3*t for t in times[e.name]]))
    print_block(rows, *[o.bytes/median(times[o.name]) for o in streams])
    return rows

def extra_mb(entrant, start, grads, device):
    if entrant.kind=='compiled' or entrant.name=='ours compiled': return None # the bar is for eager steps
    return peak_extra(entrant, start, grads, device)/1e6

def number(v, width=8): return f"{'-' if v is None else f'{v:.2f}' if v<1000 else f'{v:.0f}':>{width}}"

def print_block(rows, copied, in_place):
    r = rows[0]
    print(f"\n{r['set']}, {r['optimizer']}: floor {r['floor_ms']:.4g} ms at {copied/1e9:.1f} GB/s "
          f"(in place {in_place/1e9:.1f}); "
          f"best eager peer {r['best_eager']}, best of all {r['best_any']}")
    print(f"  {'':<36}{'ms':>10}{'/eager':>8}{'/fused':>8}{'/any':>8}{'/floor':>8}"
          f"{'/inplace':>9}{'extra MB':>10}{'differs':>9}")
    for o in rows:
        print(f"  {o['entrant']:<36}{o['ms']:10.4f}"
              + ''.join(number(o[k]) for k in ('to_eager','to_fused','to_any','to_floor')) + number(o['to_inplace'], 9)
              + number(o['extra_mb'], 10) + f"{o['differs']:9.0e}", flush=True)

def print_probe(o):
    when,cycle = (', '.join(map(str, o.get(k) or ())) or 'none' for k in ('compiled_in','compiled_in_1cycle'))
    print(f"  {o['optimizer']+', '+o['entrant']:<42} "
          f"{o['first_compiled_s']:6.2f} s to the end of the first compiled step; "
          f"{o['compile_s']:6.2f} s in all steps that compile ({when} of {N_WARM+5})"
          + (f"; steps of a 1cycle of 1,000 that compile: {cycle}" if 'compiled_in_1cycle' in o else ''), flush=True)

# --- the figure ---
styles = {'ours batched':('C3','o'), 'ours compiled':('C3','s'), 'ours loop':('C3','^'), 'torch':('C0','o'),
          'fastai':('C2','o'),
          'timm':('C1','o'), 'pytorch_optimizer':('C4','o'), 'heavyball':('C5','o')}

def style(name):
    color,marker = styles.get(name) or styles[name.split()[0]]
    if not name.startswith('ours'):
        marker = 's' if 'compiled' in name else 'D' if 'fused' in name else 'v' if 'foreach' in name else marker
    return dict(color=color, marker=marker, facecolors=color if name.startswith('ours') else 'none',
                s=60 if name.startswith('ours') else 32)

def finding(rows, set_name):
    "A title: the medians over optimizers"
    parts = []
    for entrant,key,rival in (('ours batched','to_eager','the best eager peer'),
                              ('ours compiled','to_fused','torch fused')):
        found = [o[key] for o in rows if o['entrant']==entrant and o[key] is not None]
        if found: parts.append(f"{entrant[5:]} {median(found):.2f} of {rival}")
    return f"{set_name}: " + ', '.join(parts)

def draw(rows, args):
    import matplotlib
    matplotlib.use('Agg')
    from optimloop.basics.plotting import plot_axes
    set_names = list(dict.fromkeys(o['set'] for o in rows if o['set']!='tiny'))
    if not set_names: return
    names = list(dict.fromkeys(o['optimizer'] for o in rows if o['set']!='tiny'))
    n = len(set_names)
    axs = plot_axes(math.ceil(n/2), min(n, 2), size=(7,1.2+.42*len(names)), xlabel='ms a step',
                    titles=[finding([o for o in rows if o['set']==s], s) for s in set_names]
                    + ['']*(n>1 and n%2))
    axs = axs if isinstance(axs, list) else [axs]
    seen = {}
    for ax,s in zip(axs, set_names):
        here = [o for o in rows if o['set']==s]
        for o in sorted(here, key=lambda o: o['kind']=='ours'): # ours on top
            seen[o['entrant']] = ax.scatter(o['ms'], names.index(o['optimizer']), zorder=3+(o['kind']=='ours'),
                                            **style(o['entrant']))
        for o in {o['optimizer']:o for o in here}.values():
            i = names.index(o['optimizer'])
            seen['memory floor, by a copy'] = ax.plot([o['floor_ms']]*2, [i-.35,i+.35], color='k', lw=1.5)[0]
            seen['the same in place'] = ax.plot([o['inplace_ms']]*2, [i-.35,i+.35], color='.6', lw=1.5)[0]
        ax.set(xscale='log', yticks=range(len(names)), yticklabels=names, ylim=(len(names)-.5,-.5))
    for ax in axs[n:]: ax.axis('off')
    fig = axs[0].figure
    order = sorted(seen, key=lambda o: (not o.startswith('ours'), list(seen).index(o)))
    fig.legend([seen[o] for o in order], order, loc='outside lower center', ncols=5, fontsize='small', frameon=False)
    threads = f"{args.threads} thread{'s'*(args.threads>1)}"
    fig.suptitle(f"Time of a step by {args.device}, {threads}, float32: ours filled, others hollow")
    fig.savefig(args.figure, dpi=110)
    print(f'figure: {args.figure}')

# --- command line ---
def parser():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    def add(name, default, help, **kwargs):
        p.add_argument(name, default=default, help=f'{help}; default: {default}'.replace('%', '%%'), **kwargs)
    add('--sets', 'mlp,resnet34,gpt2,small', 'parameters, by name; mlp is 784-50-10 and small 1,000 tensors of 100',
        type=names_of('set', list(sets), needed=True), metavar='A,B')
    add('--optimizers', ','.join(ours), 'optimizers of ours; with sgd comes the tiny case, Linear(8,1)',
        type=names_of('optimizer', list(ours), needed=True), metavar='A,B')
    add('--engines', 'batched,compiled', 'how ours are run',
        type=names_of('engine', ['loop','batched','compiled'], needed=True), metavar='A,B')
    add('--threads', 1, 'threads of torch on the CPU; one number', type=int, metavar='N')
    add('--rounds', 21, 'rounds, each with every entrant once', type=int, metavar='N')
    add('--patience', 600, 'seconds for the first steps of an entrant; what takes longer, to compile, is left out',
        type=int, metavar='S')
    add('--device', 'cuda' if torch.cuda.is_available() else 'cpu', 'cpu or cuda', choices=['cpu','cuda'])
    add('--cold', 'resnet34', "set for the time to the first compiled step with an empty cache; '' leaves that out",
        choices=['', *sets], metavar='SET')
    p.add_argument('--compiled-peers', action='store_true', help='compile the peers, too; slow: up to minutes for each')
    p.add_argument('--out', metavar='FILE.json', help='write all figures there')
    p.add_argument('--figure', metavar='FILE.png', help='draw them there')
    p.add_argument('--probe', help=argparse.SUPPRESS) # OPTIMIZER/ENTRANT: what `run_probe` starts
    return p

def about(args):
    "What was measured, on what, with what"
    versions = {}
    for o in ('torch','fastai','timm','pytorch_optimizer','heavyball'):
        try: versions[o] = metadata.version(o)
        except metadata.PackageNotFoundError: versions[o] = None
    device = torch.cuda.get_device_name() if args.device=='cuda' else cpu_name()
    return dict(device=device, cpus=os.cpu_count(), python=platform.python_version(), versions=versions,
                date=time.strftime('%Y-%m-%d'),
                **{k:getattr(args, k) for k in ('threads','rounds','engines','compiled_peers')})

def main():
    args = parser().parse_args()
    if args.device=='cuda' and not torch.cuda.is_available(): sys.exit("no CUDA device is available: pass --device cpu")
    if min(args.threads, args.rounds, args.patience)<1: sys.exit("--threads, --rounds and --patience must be 1 or more")
    torch.set_num_threads(args.threads)
    warnings.filterwarnings('ignore')
    if args.probe: return print(json.dumps(probe(*args.probe.split('/'), args.cold, args.device)))
    info = about(args)
    print(', '.join(f'{k} {v}' for k,v in info.items() if k!='versions'),
          *(f'{k} {v}' for k,v in info['versions'].items() if v), sep='\n  ')
    rows,cold = [],[]
    jobs = [(s,o) for s in args.sets for o in args.optimizers if s!='tiny' or o=='sgd']
    if 'sgd' in args.optimizers and 'tiny' not in args.sets: jobs.append(('tiny','sgd'))
    for s,o in jobs:
        rows += bench_one(args, s, o)
        save(args, info, rows, cold)
    for o in rows:
        if o['set']=='tiny' and o['kind']=='ours':
            print(f"\nSGD on Linear(8,1): {o['to_each']['torch']:.2f} times torch.optim.SGD")
    if args.cold and ('compiled' in args.engines or args.compiled_peers):
        print(f"\ncompilation with an empty cache, {args.cold} set:")
        for name in args.optimizers:
            names = ['ours compiled']*('compiled' in args.engines)
            if args.compiled_peers: names += [e.name for e in peers(name, compile=True) if e.kind=='compiled']
            for o in filter(None, (run_probe(args, name, e) for e in names)):
                cold.append(o)
                print_probe(o)
        save(args, info, rows, cold)
    if left_out: print('\nleft out:', *(f'{k}: {v}' for k,v in left_out.items()), sep='\n  ')
    if args.figure: draw(rows, args)

def save(args, info, rows, cold):
    if not args.out: return
    with open(args.out, 'w') as f:
        json.dump(dict(about=info, rows=rows, compilation=cold, left_out=left_out), f, indent=1)

if __name__=='__main__': main()
