"""Kill processes of a distributed run at random instants, or end them by SIGTERM, and compare what comes out with the
undisturbed run: `python tests/distributed_kill.py [--kills 50] [--n 2] [--seed 0] [--sharded]`. A launch of torchrun is
a run; in it a random rank is killed again and again, in training, in a write or in a validation, and torchrun starts
all anew. With `--sharded` the model is in parts, and so are the files: ranks are killed while they write their parts,
and between that and the writing of the file, too. Prints a line for each run, and a last one that says whether all
weights are equal to the last bit."""
import argparse, os, random, signal, subprocess, sys, tempfile, threading, time
from pathlib import Path

os.environ.setdefault('OPTIMLOOP_DEVICE', 'cpu')

def train(folder):
    "The run: dropout, augmentation, ragged batches, a scheduled rate; in each attempt but the last one rank is killed"
    import torch
    from torch import nn
    from optimloop.all import EMA, Adam, Callback, Checkpoint, DataLoaders, Learner
    from optimloop.optimizers.sharded import gathered

    attempt,rank = int(os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)),int(os.environ.get('RANK', 0))
    plan = [o.split() for o in (folder/'plan').read_text().splitlines()]
    due = plan[attempt] if attempt<len(plan) else None
    if rank==0: (folder/'attempts').write_text(str(attempt+1))
    def is_due(what): return due and due[1]==what and int(due[0])==rank
    def die(): os.kill(os.getpid(), signal.SIGTERM if due[1].startswith('term') else signal.SIGKILL)
    def die_soon(): threading.Timer(float(due[2]), die).start()

    class Data(torch.utils.data.Dataset):
        def __len__(self): return 45
        def __getitem__(self, i):
            g = torch.Generator().manual_seed(i)
            x = torch.randn(6, generator=g)
            return x + .1*torch.randn(6), (x.sum()>0).long(), i

    class Log(Callback):
        "Notes which samples were trained on; slow enough to be hit"
        order = -60
        def before_batch(self):
            time.sleep(.01)
            self.learn.xb,self.learn.yb,self.ids = self.learn.xb[:1],(self.learn.xb[1],),self.learn.yb[0]
        def after_batch(self):
            learn = self.learn
            if not learn.training: return
            own = [] if learn.distributed.shares and learn.distributed.share.is_stand_in else self.ids.tolist()
            with open(folder/f'samples_{rank}', 'a') as f: f.write(f'{learn.epoch} {learn.iter} {own}\n')
        transient = 'ids',

    class Killer(Callback):
        order = 300
        def before_train(self):
            if (is_due('train') or is_due('term')) and self.learn.epoch>=int(due[3]): die_soon()
        def before_validate(self):
            if is_due('validate') and self.learn.epoch>=int(due[3]): die_soon()

    if is_due('write'):
        from optimloop.runs import checkpoints
        write,count = checkpoints.write_packed,[0]
        def slow_write(*args):
            count[0] += 1
            if count[0]==int(due[3])+2: die_soon()
            time.sleep(.02)
            return write(*args)
        checkpoints.write_packed = slow_write

    if is_due('parts') or is_due('between'):
        from optimloop.runs import checkpoints
        write_shards,count = checkpoints.write_shards,[0]
        def slow_shards(*args):
            count[0] += 1
            is_now = count[0]==int(due[3])+2
            if is_now and due[1]=='parts': die_soon()
            time.sleep(.01)
            files = write_shards(*args)
            if is_now and due[1]=='between': die()
            return files
        checkpoints.write_shards = slow_shards

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(.3), nn.Linear(16, 2))
    dls = DataLoaders.from_datasets(Data(), Data(), bs=8)
    sharded = 'KILL_SHARDED' in os.environ
    cbs = [Log, EMA(.9), Checkpoint(2, folder=folder/'checkpoints', sharded=sharded), Killer]
    learn = Learner(dls, model, nn.functional.cross_entropy, Adam, lr=.01, cbs=cbs)
    learn.distribute(shard=sharded)
    learn.fit_one_cycle(5, resume=True)
    weights,avg = gathered([p.detach() for p in model.parameters()]),gathered(learn.ema.avg)
    if rank==0: torch.save(dict(weights=weights, losses=list(learn.recorder.losses), avg=avg,
                                values=learn.recorder.values), folder/'result.pt')

def launch(folder, n, plan, timeout=300, sharded=False):
    folder.mkdir()
    (folder/'plan').write_text('\n'.join(plan))
    env = dict(os.environ, OMP_NUM_THREADS='1', TORCH_DISABLE_SHARE_RDZV_TCP_STORE='1')
    if sharded: env['KILL_SHARDED'] = '1'
    line = [sys.executable, '-m', 'torch.distributed.run', '--nnodes', '1', '--nproc-per-node', str(n),
            '--max-restarts', str(len(plan)+2), '--rdzv-backend', 'c10d', '--rdzv-endpoint', 'localhost:0',
            '--monitor-interval', '0.1', __file__, str(folder)]
    return subprocess.run(line, env=env, timeout=timeout, capture_output=True, text=True)

def random_plan(rng, n, kills, sharded=False):
    "Rank, what it does when it is hit, after how many seconds, in which epoch or write"
    plan,writes = [],('write','parts','between')
    for i in range(kills):
        what = rng.choice(('train','train','term','write','validate',*('parts','parts','between')*sharded))
        rank = 0 if what=='write' else rng.randrange(n)
        when = rng.randrange(2) if what in writes else i*4//max(1, kills)
        plan.append(f"{rank} {what} {rng.random()*(.02 if what in writes else .06):.4f} {when}")
    return plan

def each_sample_once(folder, n):
    "Of the last time that each batch was trained on: does an epoch have each sample once?"
    batches = {}
    for i in range(n):
        for line in (folder/f'samples_{i}').read_text().splitlines():
            epoch,batch,ids = line.split(' ', 2)
            batches[i,int(epoch),int(batch)] = eval(ids)
    epochs = {e for _,e,_ in batches}
    return all(sorted(j for (_,k,_),ids in batches.items() if k==e for j in ids)==list(range(45)) for e in epochs)

def equal(a, b):
    import torch
    x,y = (torch.load(o/'result.pt') for o in (a,b))
    same = all(torch.equal(p, q) for p,q in zip((*x['weights'],*x['avg'].values()), (*y['weights'],*y['avg'].values())))
    return same and x['losses']==y['losses'] and x['values']==y['values']

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--kills', type=int, default=50)
    parser.add_argument('--per-run', type=int, default=5)
    parser.add_argument('--n', type=int, default=2)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--sharded', action='store_true')
    args = parser.parse_args()
    rng,bad,kills,i = random.Random(args.seed),0,0,0
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        done = launch(tmp/'undisturbed', args.n, [], sharded=args.sharded)
        assert done.returncode==0, done.stderr[-3000:]
        while kills<args.kills:
            folder,plan = tmp/f'run{i}',random_plan(rng, args.n, args.per_run, args.sharded)
            start = time.time()
            done = launch(folder, args.n, plan, sharded=args.sharded)
            good = done.returncode==0 and equal(folder, tmp/'undisturbed') and each_sample_once(folder, args.n)
            bad,i,died = bad+(not good),i+1,int((folder/'attempts').read_text())-1
            kills += died # some come too late
            came_out = 'equal' if good else 'NOT EQUAL'
            print(f"run {i}: {'; '.join(plan)}: {died} kills, {came_out}, {time.time()-start:.0f} s", flush=True)
            if done.returncode: print(done.stderr[-3000:])
    print(f"{kills} kills in {i} runs, {bad} runs not equal")
    sys.exit(bad>0)

if __name__=='__main__':
    if len(sys.argv)==2 and Path(sys.argv[1]).is_dir(): train(Path(sys.argv[1]))
    else: main()
