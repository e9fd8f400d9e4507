"""What half precision costs and saves: `MixedPrecision` and its like against the hand-written `torch.amp` loop.

`python bench/precision.py` trains three networks, each in fp32, bf16 and fp16, and prints a block for each:
  tiny          `nn.Linear(8,1)`, batches of 16: nearly all time is overhead
  resnet        a network of the size of ResNet-34: 21 million weights
  transformer   a small causal transformer
and in each mode a line for each entrant:
  by hand       `torch.autocast` and `torch.amp.GradScaler` in a plain loop, with `torch.optim.SGD`; in fp32 without
  both
  by hand, our SGD
  ours          `Learner.fit` with the default callbacks, no table and no bar, and `MixedPrecision`
  from scratch  `NonNativeMixedPrecision`, fp16 only
  pure, master / pure, stochastic   `PureBF16`, bf16 only
The columns:
  ms            median over the rounds of the milliseconds of a batch
  min, max      over the rounds
  /hand         median over the rounds of the time over that of the loop by hand in the same mode and round
  /fp32         the same, over that of the loop by hand in fp32
  MB            peak memory above what was in use before the first batch: weights, gradients, the optimizer's state and
                activations. On a GPU as its allocator counts; on a CPU resident memory, in a process of its own
  differs       how far its weights after a round are from those by hand in the same mode, as a part of the way that
  these
                have come. `-` where they compute otherwise by intention
In a round every entrant trains for `--batches` batches, in one process, and each round starts with another one. The
first
round warms up and is not counted. What takes longer than `--limit` seconds for its first batch, or fails, is left out
of the
rounds, and listed at the end with the reason: convolutions in fp16 are slow on a CPU without instructions for them.
Choose
sizes and modes by the options; a GPU is used where there is one."""
import argparse, gc, json, math, os, platform, resource, subprocess, sys, time, warnings
from statistics import median

import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import optimloop.all as ol
from common import cpu_name, names_of, resnet34

dtypes = dict(fp32=None, bf16=torch.bfloat16, fp16=torch.float16)
left_out = {} # from what to why

# --- networks ---
class Layer(nn.Module):
    "Attention to what came before, and two dense layers"
    def __init__(self, d, n_heads):
        super().__init__()
        self.n_heads,self.norm1,self.norm2 = n_heads,nn.LayerNorm(d),nn.LayerNorm(d)
        self.qkv,self.out,self.mlp = nn.Linear(d, 3*d),nn.Linear(d, d),nn.Sequential(nn.Linear(d, 4*d), nn.GELU(),
            nn.Linear(4*d, d))
    def forward(self, x):
        n,t,d = x.shape
        q,k,v = self.qkv(self.norm1(x)).view(n, t, 3, self.n_heads, d//self.n_heads).permute(2, 0, 3, 1, 4)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(n, t, d))
        return x + self.mlp(self.norm2(x))

class Transformer(nn.Module):
    def __init__(self, n_words, length, d, depth):
        super().__init__()
        self.words,self.places = nn.Embedding(n_words, d),nn.Parameter(torch.randn(length, d)*.02)
        self.body = nn.Sequential(*[Layer(d, d//64) for _ in range(depth)], nn.LayerNorm(d), nn.Linear(d, n_words))
    def forward(self, x): return self.body(self.words(x) + self.places)

# --- tasks ---
def tiny(args, g):
    x = torch.randn(args.batches_tiny*16, 8, generator=g)
    return lambda: nn.Linear(8, 1),F.mse_loss,list(zip(x.split(16), x.sum(1, keepdim=True).split(16))),1e-3

def resnet(args, g):
    batches = [(torch.randn(args.bs, 3, args.size, args.size, generator=g),
        torch.randint(1000, (args.bs,), generator=g)) for _ in range(args.batches)]
    return resnet34,F.cross_entropy,batches,1e-2

def transformer(args, g):
    texts = [torch.randint(1000, (args.bs, args.length+1), generator=g) for _ in range(args.batches)]
    def loss(pred, y): return F.cross_entropy(pred.flatten(0, 1), y.flatten())
    return lambda: Transformer(1000, args.length, args.width, args.depth),loss,[(o[:,:-1],o[:,1:]) for o in texts],1e-2

tasks = dict(tiny=tiny, resnet=resnet, transformer=transformer)

# --- entrants ---
class Entrant:
    def __init__(self, name, mode, same=True): self.name,self.mode,self.same = name,mode,same
    def start(self, make, loss_func, batches, lr, device):
        torch.manual_seed(0)
        self.model,self.loss_func,self.device,self.lr = make().to(device),loss_func,device,lr
        self.batches = [(x.to(device),y.to(device)) for x,y in batches]
        self.start_weights = [p.detach().clone() for p in self.model.parameters()]
        self.set_up()
    def weights(self): return [p.detach() for p in self.model.parameters()]

class Hand(Entrant):
    def __init__(self, name, mode, opt_func): super().__init__(name, mode); self.opt_func = opt_func
    def set_up(self):
        self.opt = self.opt_func(self.model.parameters(), lr=self.lr)

    def run(self, n=None): dict(fp32=self.run_fp32, bf16=self.run_bf16, fp16=self.run_fp16)[self.mode](self.batches[:n])

    def run_fp32(self, batches):
        model,opt,loss_func = self.model.train(),self.opt,self.loss_func
        for xb,yb in batches:
            loss_func(model(xb), yb).backward()
            opt.step()
            opt.zero_grad()

    def run_bf16(self, batches):
        model,opt,loss_func = self.model.train(),self.opt,self.loss_func
        for xb,yb in batches:
            with torch.autocast(self.device, dtype=torch.bfloat16): loss = loss_func(model(xb), yb)
            loss.backward()
            opt.step()
            opt.zero_grad()

    def run_fp16(self, batches):
        # a new one, as for a fit
        model,opt,loss_func,scaler = self.model.train(),self.opt,self.loss_func,torch.amp.GradScaler(self.device)
        for xb,yb in batches:
            with torch.autocast(self.device, dtype=torch.float16): loss = loss_func(model(xb), yb)
            scaler.scale(loss).backward()
            scaler.step(opt)
            scaler.update()
            opt.zero_grad()

class Ours(Entrant):
    def __init__(self, name, mode, cb=None, same=True): super().__init__(name, mode, same); self.cb = cb
    def set_up(self):
        self.learn = ol.Learner((self.batches,None), self.model, self.loss_func, opt_func=ol.SGD, lr=self.lr,
            cbs=self.cb and self.cb())
        self.learn.remove_cb(ol.ProgressCallback)
        self.learn.logger = lambda cells: None

    def run(self, n=None):
        self.learn.dls.train = self.batches[:n]
        self.learn.fit(1)

def entrants_of(mode):
    ours = {'fp32':None, 'bf16':lambda: ol.MixedPrecision('bf16'), 'fp16':lambda: ol.MixedPrecision('fp16')}[mode]
    res = [Hand('by hand', mode, torch.optim.SGD), Hand('by hand, our SGD', mode, ol.SGD), Ours('ours', mode, ours)]
    if mode=='fp16': res.append(Ours('from scratch', mode, ol.NonNativeMixedPrecision, same=False))
    if mode=='bf16':
        res += [Ours(f'pure, {o}', mode, lambda o=o: ol.PureBF16(o), same=False) for o in ('master','stochastic')]
    return res

# --- measuring ---
def wait(device):
    if device=='cuda': torch.cuda.synchronize()
    if device=='mps': torch.mps.synchronize()

def seconds(entrant, n=None):
    gc.collect()
    wait(entrant.device)
    start = clock()
    entrant.run(n)
    wait(entrant.device)
    return clock()-start

def leave_out(what, why):
    left_out[what] = why if isinstance(why,
        str) else f"{type(why).__name__}: {(str(why).strip().splitlines() or ['no message'])[0][:200]}"

def warm_up(block, args):
    "The entrants that are fit to go on, after a round of each, with `differs`"
    make,loss_func,batches,lr = tasks[block](args, torch.Generator().manual_seed(0))
    res,by_hand = [],{}
    for e in [e for mode in args.modes for e in entrants_of(mode)]:
        what = f'{block}, {e.mode}: {e.name}'
        if e.name!='by hand' and e.mode not in by_hand:
            leave_out(what, 'there is no loop by hand to compare with'); continue
        try:
            e.start(make, loss_func, batches, lr, args.device)
            first = seconds(e, 1)
            if first>args.limit: leave_out(what, f'its first batch took {first:.1f} s'); continue
            e.run()
        except Exception as exc: leave_out(what, exc); continue
        if e.name=='by hand': by_hand[e.mode] = [o.clone() for o in e.weights()]
        e.differs = distance(by_hand[e.mode], e) if e.same else None
        res.append(e)
    return res

def distance(theirs, e):
    far,way = (sum((a-b).double().square().sum().item() for a,b in zip(theirs, o))
        for o in (e.weights(),e.start_weights))
    return math.sqrt(far/way) if way else float(far>0)

def run_rounds(entrants, n_rounds):
    times = {(e.mode,e.name):[] for e in entrants}
    for i in range(n_rounds):
        j = i%len(entrants)
        for e in entrants[j:]+entrants[:j]: times[e.mode,e.name].append(seconds(e))
    return times

def bench(block, args):
    "Measure and print one block; a list of dictionaries, one for each entrant"
    entrants = warm_up(block, args)
    n,rows = len(entrants[0].batches) if entrants else 0,[]
    times = run_rounds(entrants, args.rounds) if entrants else {}
    print(f"\n{block}:\n  {'':<26}{'ms':>10}{'min':>10}{'max':>10}{'/hand':>8}{'/fp32':>8}{'MB':>9}{'differs':>9}")
    def ratio(a, b): return median(x/y for x,y in zip(times[a], times[b])) if b in times else None
    for e in entrants:
        key,ms = (e.mode,e.name),[1e3*t/n for t in times[e.mode,e.name]]
        rows.append(dict(block=block, mode=e.mode, entrant=e.name, ms=median(ms), min=min(ms), max=max(ms),
            to_hand=ratio(key, (e.mode,'by hand')),
                         to_fp32=ratio(key, ('fp32','by hand')), mb=peak(block, e, args) if args.memory else None,
                         differs=e.differs, rounds_ms=ms))
        o = rows[-1]
        def cell(v, fmt, width): return f"{'-' if v is None else format(v, fmt):>{width}}"
        print(f"  {e.mode+' '+e.name:<26}{o['ms']:10.3f}{o['min']:10.3f}{o['max']:10.3f}", cell(o['to_hand'],'.2f',7),
            cell(o['to_fp32'],'.2f',7),
              cell(o['mb'],'.1f',8), cell(o['differs'],'.0e',8), flush=True)
    return rows

# --- memory ---
def most_resident():
    try:
        with open('/proc/self/status') as f: return 1024*next(int(o.split()[1]) for o in f if o.startswith('VmHWM'))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss*(1 if sys.platform=='darwin' else 1024)

def peak(block, e, args):
    "Megabytes, in a process of its own"
    flags = [o for k in ('bs','size','length','width','depth','batches','device','threads')
        for o in (f'--{k}', str(getattr(args, k)))]
    p = subprocess.run([sys.executable, os.path.abspath(__file__), '--probe', f'{block}/{e.mode}/{e.name}', *flags],
        capture_output=True, text=True)
    try: return json.loads(p.stdout.splitlines()[-1])
    except Exception:
        leave_out(f'{block}, {e.mode}: {e.name}, memory', (p.stderr.strip().splitlines() or ['no message'])[-1][:200])

def probe(args):
    block,mode,name = args.probe.split('/')
    make,loss_func,batches,lr = tasks[block](args, torch.Generator().manual_seed(0))
    e = next(o for o in entrants_of(mode) if o.name==name)
    torch.ones(8, 8, device=args.device) @ torch.ones(8, 8, device=args.device) # libraries take their own
    before = torch.cuda.memory_allocated() if args.device=='cuda' else most_resident()
    e.start(make, loss_func, batches[:2], lr, args.device)
    e.start_weights = None
    e.run()
    return ((torch.cuda.max_memory_allocated() if args.device=='cuda' else most_resident())-before)/1e6

# --- command line ---
def parser(device):
    big = device=='cuda'
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    def add(name, default, help, **kwargs):
        p.add_argument(name, default=default, help=f'{help}; default: {default}', **kwargs)
    add('--blocks', ','.join(tasks), 'what to measure', type=names_of('block', tasks), metavar='A,B')
    add('--modes', ','.join(dtypes), 'in which precisions', type=names_of('mode', dtypes), metavar='A,B')
    add('--device', device, 'cpu, cuda or mps')
    for name,n,help in (('bs',64 if big else 2,'samples in a batch'),
        ('size',224 if big else 64,'height and width of the images'),
                        ('length',512 if big else 64,'words in a text'),
                        ('width',512 if big else 128,'features of the transformer, a multiple of 64'),
                        ('depth',8 if big else 3,'layers of the transformer'),
                        ('batches',20 if big else 2,'batches in a round'),
                        ('batches_tiny',500,'the same, for `tiny`'),
                        ('rounds',7,'rounds, each with every entrant once'), ('threads',1,'threads of torch')):
        add(f"--{name.replace('_', '-')}", n, help, type=int, metavar='N')
    add('--limit', 20., 'leave out what takes longer for its first batch, in seconds', type=float, metavar='S')
    add('--clock', 'wall', 'wall, or on a machine that others use too, cpu: the time that this process had',
        choices=['wall','cpu'])
    p.add_argument('--no-memory', dest='memory', action='store_false', help='do not measure memory')
    p.add_argument('--out', metavar='FILE.json', help="write all figures there; '-' prints them as the last line")
    p.add_argument('--probe', help=argparse.SUPPRESS) # what `peak` starts
    return p

def device_name(device):
    return torch.cuda.get_device_name() if device=='cuda' else cpu_name()

def main():
    global clock
    device = 'cuda' if torch.cuda.is_available() else 'mps' if torch.backends.mps.is_available() else 'cpu'
    args = parser(device).parse_args()
    if min(args.threads, args.rounds, args.batches, args.batches_tiny, args.bs)<1:
        sys.exit("--threads, --rounds, --batches and --bs must be 1 or more")
    clock = time.process_time if args.clock=='cpu' else time.perf_counter
    torch.set_num_threads(args.threads)
    warnings.filterwarnings('ignore')
    if args.probe: return print(json.dumps(probe(args)))
    info = dict(device=device_name(args.device), python=platform.python_version(), torch=torch.__version__,
        date=time.strftime('%Y-%m-%d'),
                **{k:getattr(args, k) for k in ('threads','clock','rounds','batches','bs','size','length','width',
                'depth')})
    print(', '.join(f'{k} {v}' for k,v in info.items()), flush=True)
    rows = [o for block in args.blocks for o in bench(block, args)]
    if left_out: print('\nleft out:', *(f'{k}: {v}' for k,v in left_out.items()), sep='\n  ')
    res = json.dumps(dict(about=info, rows=rows, left_out=left_out))
    if args.out=='-': print(res)
    elif args.out:
        with open(args.out, 'w') as f: f.write(res)

if __name__=='__main__': main()
