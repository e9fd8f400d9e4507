"A small GPT: shapes, numbers, what it may look at, bad input; and a program that is killed and goes on bit for bit."
import math, os, random, signal, subprocess, sys
from functools import partial
from pathlib import Path

import pytest, torch
from torch.nn import functional as F

from optimloop.all import *
from optimloop.projects import gpt
from optimloop.projects.gpt import *
from optimloop.runs.parts import read_optimizer, read_weights
from test_checkpoints import differs

torch.set_num_threads(1)
text = python_help()[:6_000]
small = dict(block_size=16, n_layer=2, n_head=2, dim=16)

def learner(**kwargs): return gpt_learner(text, **{**small, 'bs':8, 'device':'cpu', **kwargs})

def fit(learn, n=1, how='fit_one_cycle', **kwargs):
    with learn.no_bar(), learn.no_logging(): getattr(learn, how)(n, **kwargs)
    return learn

# Text and windows

def test_the_text():
    whole = python_help()
    assert 300_000<len(whole)<1_000_000 and len(set(encode(whole).tolist()))<130
    paragraphs = [o.strip() for o in whole.split('\n\n')]
    assert len(paragraphs)==len(set(paragraphs))
    assert whole==python_help()

def test_without_a_text_of_python(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pydoc_data.topics', None)
    with pytest.raises(ImportError, match='give a text of your own'): python_help()

@pytest.mark.parametrize('o', ['a', 'é€😀\0\r\n', '\udcff\udc80'])
def test_encode_and_decode(o):
    tokens = encode(o)
    assert tokens.dtype is torch.long and tokens.min()>=0 and tokens.max()<256
    assert decode(tokens)==o.encode('utf-8', 'surrogateescape').decode('utf-8', 'replace')
    assert encode('').shape==(0,) and decode(encode(''))==''

@pytest.mark.parametrize('n', [20,21,100,101,127,128,129,1000])
@pytest.mark.parametrize('block_size', [1,2,7,9])
@pytest.mark.parametrize('bs', [1,3,64])
def test_each_byte_is_a_target_once(n, block_size, bs):
    o = ''.join(chr(33+i%90) for i in range(n))
    dls = text_dls(o, bs, block_size, valid_pct=.5)
    for dl,part in zip(dls, (encode(o)[:n//2],encode(o)[n//2:])):
        x,y = dl.dataset.tensors
        assert x.shape==y.shape==(-(-(len(part)-1)//block_size),block_size) and x.dtype==y.dtype==torch.long
        assert torch.equal(y[y>=0], part[1:]) and torch.equal(x[y>=0], part[:-1])
        assert set(y[y<0].tolist())<={-100} and (y<0).sum()<block_size
        for xb,yb in dl: assert xb.shape==yb.shape and len(xb)<=2*bs

@pytest.mark.parametrize('bad,match', [
    (dict(text=''), 'the text is empty'),
    (dict(text='a'*50), 'block_size=64: the training part of the text has 45 bytes'),
    (dict(text='a'*600), 'the validation part of the text has 60 bytes'), (dict(text='a'*640), 'validation part'),
    (dict(text='a'*600, block_size=0), 'block_size=0'), (dict(text='a'*600, block_size=-3), 'block_size=-3'),
    (dict(text='a'*9000, valid_pct=0), 'valid_pct=0'), (dict(text='a'*9000, valid_pct=1.), 'valid_pct=1.0'),
    (dict(text='a'*9000, bs=0), 'bs=0')])
def test_bad_texts(bad, match):
    with pytest.raises(ValueError, match=match): text_dls(**bad)

def test_the_shortest_text():
    dls = text_dls('a'*650)
    assert [len(dl.dataset) for dl in dls]==[10,1]
    fit(gpt_learner('a'*650, n_layer=1, device='cpu'))

# The loss

def test_loss_is_that_of_torch():
    logits,targ = torch.randn(3, 7, 11),torch.randint(11, (3, 7))
    targ[0,2:] = -100
    true = F.cross_entropy(logits.transpose(1, 2), targ)
    assert torch.allclose(token_loss(logits, targ), true)
    assert torch.allclose(bits_per_byte(logits, targ), true/math.log(2))
    assert token_loss.n_items(logits, targ)==bits_per_byte.n_items(logits, targ)==16

@pytest.mark.parametrize('bs', [1,3,7,100])
def test_the_table_weighs_tokens(bs):
    "However the windows are cut into batches, the last of which is ragged"
    learn = learner(bs=bs)
    x,y = learn.dls.valid.dataset.tensors
    assert (y<0).any()
    with torch.no_grad(): true = token_loss(learn.model.eval()(x), y).item()
    with learn.no_bar(): loss,bits = learn.validate()
    assert math.isclose(loss, true, rel_tol=1e-5) and math.isclose(bits, true/math.log(2), rel_tol=1e-5)

def test_the_training_loss_weighs_tokens():
    "With a rate that moves nothing, the mean of the epoch is that over all targets"
    learn = learner(lr=1e-12, wd=0.)
    x,y = learn.dls.train.dataset.tensors
    assert (y<0).any() and len(x)%8
    with torch.no_grad(): true = token_loss(learn.model(x), y).item()
    assert math.isclose(fit(learn, how='fit').recorder.values[0][0], true, rel_tol=1e-5)

def test_bigram():
    x,y = torch.tensor([[97,98,97],[97,0,0]]),torch.tensor([[98,97,99],[98,-100,-100]])
    a,b = Bigram(x, y, prior=1e-6)(torch.tensor([97,98])).exp()
    assert torch.allclose(a[[98,99]], torch.tensor([2/3,1/3]), atol=1e-3) and math.isclose(b[97], 1, abs_tol=1e-3)
    assert math.isclose(a.sum(), 1, rel_tol=1e-5) and math.isclose(b.sum(), 1, rel_tol=1e-5)
    assert torch.allclose(Bigram(x, y).table[5].exp(), torch.full((256,), 1/256)) # one that was not there

# The model

@pytest.mark.parametrize('n', [1,3])
@pytest.mark.parametrize('time', [1,5,16])
@pytest.mark.parametrize('dtype', [torch.float32,torch.float64,torch.bfloat16])
def test_shapes_and_types(n, time, dtype):
    model = GPT(**small, n_vocab=50).to(dtype)
    out = model(torch.randint(50, (n,time)))
    assert out.shape==(n,time,50) and out.dtype is dtype and out.isfinite().all()

@pytest.mark.parametrize('ints', [torch.int32,torch.int64])
def test_types_of_tokens(ints):
    model = GPT(**small).eval()
    assert torch.equal(model(torch.arange(8)[None].to(ints)), model(torch.arange(8)[None]))

@pytest.mark.parametrize('bad', ['block_size','n_layer','n_head','dim','n_vocab'])
def test_bad_sizes(bad):
    for v in 0,-1:
        with pytest.raises(ValueError, match=f'{bad}={v}'): GPT(**{**small, bad:v})

def test_bad_shapes():
    with pytest.raises(ValueError, match='dim=16, n_head=3'): GPT(16, n_head=3, dim=16)
    with pytest.raises(ValueError, match='17 tokens: this model looks at 16'): GPT(**small)(torch.randint(9, (1,17)))
    with pytest.raises(ValueError, match='dropout'): GPT(**small, dropout=1.5)

@pytest.mark.parametrize('dim,n_layer', [(16,1),(64,3),(128,6)])
def test_the_first_loss_is_the_logarithm_of_the_vocabulary(dim, n_layer):
    for n_vocab in 64,256:
        torch.manual_seed(0)
        model = GPT(32, n_layer, 4, dim, n_vocab=n_vocab)
        x,y = torch.randint(n_vocab, (2, 8, 32))
        assert abs(token_loss(model(x), y).item()-math.log(n_vocab))<.05*math.log(n_vocab)

@pytest.mark.parametrize('dropout', [0.,.3])
@pytest.mark.parametrize('dtype', [torch.float32,torch.float64,torch.bfloat16])
def test_nothing_looks_ahead(dropout, dtype):
    "Each token in turn is another one, in training too, where one seed drops the same"
    model,x = GPT(**small, dropout=dropout).to(dtype),torch.randint(256, (2, 16))
    def logits(x):
        torch.manual_seed(1)
        return model(x).detach()
    before = logits(x)
    for i in range(16):
        other = x.clone()
        other[:,i] = (x[:,i]+1)%256
        changed = (logits(other)!=before).any(-1)
        assert not changed[:,:i].any() and changed[:,i].all()

def test_gradients_do_not_come_from_ahead():
    model = GPT(**small).double()
    o = torch.randn(1, 16, 16, dtype=torch.double, requires_grad=True)
    for i in 0,7,15:
        grad, = torch.autograd.grad(model.blocks(o)[0,i].pow(2).sum(), o)
        assert not grad[0,i+1:].any() and grad[0,:i+1].any(-1).all()

def test_a_shorter_text_gives_the_same_logits():
    model,x = GPT(**small).double().eval(),torch.randint(256, (2, 16))
    for time in 1,6,15: assert torch.allclose(model(x[:,:time]), model(x)[:,:time], atol=1e-12)

def test_dropout_is_for_training():
    model,x = GPT(**small, dropout=.5),torch.randint(256, (2, 16))
    assert not torch.equal(model(x), model(x))
    assert torch.equal(model.eval()(x), model(x))

def test_the_table_is_shared():
    model = GPT(**small)
    assert 'head' not in ' '.join(model.state_dict()) and sum(p.shape[0]==256 for p in model.parameters())==1
    model(torch.zeros(1, 4, dtype=torch.long))[0,0,99].backward() # a byte that is not among the inputs
    assert model.tokens.weight.grad[99].any() and model.tokens.weight.grad[0].any()

def test_groups():
    learn = learner()
    names = {id(p):k for k,p in learn.model.named_parameters()}
    a,b = ([names[id(p)] for p in o] for o in learn.model.groups())
    assert sorted(a+b)==sorted(names.values()) and len(a)==8
    assert all('norm' in k or k in ('tokens.weight','places.weight') for k in b)
    for p in learn.model.blocks[0].parameters(): p.requires_grad = False
    assert [len(o) for o in learn.model.groups()]==[4,8]

def test_only_matrices_decay():
    "With gradients of zero nothing moves but what is decayed"
    learn = learner(wd=.5, lr=.1)
    before = {k:v.clone() for k,v in learn.model.state_dict().items()}
    class Zero(Callback):
        def after_backward(self):
            for p in self.model.parameters(): p.grad.zero_()
    fit(learn, how='fit', cbs=Zero)
    moved = {k for k,v in learn.model.state_dict().items() if not torch.equal(v, before[k])}
    assert moved=={k for k in before if k.startswith('blocks') and 'norm' not in k}

# Writing

def die(seed=0): return torch.Generator().manual_seed(seed)

def test_generation_is_repeatable():
    model = GPT(**small, dropout=.5)
    model.blocks[0].eval()
    modes,state = [m.training for m in model.modules()],torch.get_rng_state()
    a,b,c = (generate(model, 'ab', 60, generator=die(o)) for o in (0,0,1))
    assert a==b!=c and a.startswith('ab')
    assert modes==[m.training for m in model.modules()] and torch.equal(state, torch.get_rng_state())

def test_generation_draws_from_the_probabilities():
    x = torch.tensor([[97]*4]),torch.tensor([[97,98,98,98]])
    drawn = [generate(Bigram(*x, prior=1e-9), 'a', 1, generator=die(i))[1] for i in range(2000)]
    assert abs(drawn.count('b')/2000-.75)<.04 and set(drawn)=={'a','b'}
    drawn = [generate(Bigram(*x, prior=1e-9), 'a', 1, .5, die(i))[1] for i in range(2000)] # 1:9 with squares
    assert abs(drawn.count('b')/2000-.9)<.03

def test_generation_of_nothing_and_of_much():
    model = GPT(**small)
    assert generate(model, 'abc', 0)=='abc'
    assert len(encode(generate(model, 'long '*30, 5, generator=die())).tolist())>=155
    for bad in dict(prompt=''),dict(temperature=0),dict(temperature=-1.),dict(temperature=math.nan):
        with pytest.raises(ValueError, match=next(iter(bad))): generate(model, **bad)

def test_an_error_leaves_the_modes():
    model = GPT(**small)
    model.norm.register_forward_hook(lambda *args: 1/0)
    with pytest.raises(ZeroDivisionError): generate(model, 'a', 3)
    assert all(m.training for m in model.modules())

# The Learner

def test_it_learns():
    learn = fit(gpt_learner(python_help()[:40_000], bs=8, block_size=32, n_layer=1, n_head=2, dim=32, device='cpu'), 2)
    x,y = learn.dls.valid.dataset.tensors
    uniform,bits = 8,learn.recorder.values[-1][2]
    assert bits<.55*uniform and learn.recorder.values[0][2]>bits

def test_a_seed_is_a_run():
    a,b,c = (fit(learner(dropout=.1, seed=o)).model.state_dict() for o in (3,3,4))
    assert not differs(a, b) and differs(a, c)

@pytest.mark.parametrize('bs', [2,4])
def test_accumulation_weighs_tokens(bs):
    "The windows of a batch in pieces, one with targets that do not count"
    learns = learner(bs=8),learner(bs=bs, n_acc=8)
    x,y = (o[-8:] for o in learns[0].dls.train.dataset.tensors)
    assert (y<0).any()
    for learn,n in zip(learns, (8,bs)):
        learn.model.double()
        learn.dls = DataLoaders([*zip(x.split(n), y.split(n))])
        fit(learn, 1, 'fit')
    assert [len(o.gradient_clip.norms) for o in learns]==[1,1]
    for a,b in zip(*(o.model.parameters() for o in learns)): assert torch.allclose(a, b, atol=1e-9)

@pytest.mark.parametrize('cb', [partial(MixedPrecision, 'bf16'), PureBF16, partial(EMA, .9)])
def test_with_other_callbacks(cb):
    learn = fit(learner(cbs=cb()))
    assert math.isfinite(learn.recorder.values[-1][1]) and learn.recorder.values[-1][2]<8.5

# The program

def program(folder, *more, epochs=2, dropout=.2):
    (file := Path(folder).parent/'text.txt').write_text(text)
    sizes = [f'--{k.replace("_", "-")}={v}' for k,v in small.items()]
    argv = ['--text', str(file), '--folder', str(folder), *sizes, '--bs=8', f'--epochs={epochs}',
            f'--dropout={dropout}', '--every-batches=5', '--length=30', *more]
    return main(argv)

class Killed(Exception): "Stands for the kill: all that the process knew is thrown away"

class DieAt(Callback):
    "At the `n`th time that an event of a training batch comes"
    run_valid,transient = False,('left','how')
    def __init__(self, at, n, how): self.left,self.how = n,how; setattr(self, at, self.count)
    def count(self):
        self.left -= 1
        if not self.left: self.how()

def killed(): raise Killed

def outcome(folder, monkeypatch, *more, death=None, **kwargs):
    "All that is left of a run of the program: weights, optimizer, losses, generator; `None` if it was killed"
    learns = []
    def watched(*args, cbs=(), **kwargs):
        learns.append(gpt_learner(*args, cbs=[*cbs, *([DieAt(*death)] if death else [])], **kwargs))
        return learns[-1]
    with monkeypatch.context() as m:
        m.setattr(gpt, 'gpt_learner', watched)
        try: assert program(folder, *more, **kwargs)==0
        except Killed: return None
    learn, = learns
    opt = read_optimizer(learn)
    opt['state'] = dict(sorted(opt['state'].items()))
    rec = learn.recorder
    return dict(weights=read_weights(learn), opt=opt, losses=rec.losses, values=rec.values,
                norms=learn.gradient_clip.norms, rng=torch.get_rng_state())

n_batches = 2*43 # two epochs

@pytest.mark.parametrize('more', [(), ('--dropout=0',), ('--n-acc=20',)])
def test_killed_at_a_random_batch(tmp_path, monkeypatch, more, capsys):
    rng = random.Random(str(more))
    truth = outcome(tmp_path/'truth', monkeypatch, *more)
    assert len(truth['losses'])==n_batches
    said = capsys.readouterr().out
    events = 'before_batch after_pred after_loss before_backward after_backward before_step after_batch'.split()
    for i in range(4):
        event = rng.choice(events)
        deaths = [rng.randrange(2, n_batches-20), rng.randrange(1, 20)][:1+i%2] # the second one after a resume
        for n in deaths: assert outcome(tmp_path/f'{i}', monkeypatch, *more, '--resume', death=(event,n,killed)) is None
        capsys.readouterr()
        again = outcome(tmp_path/f'{i}', monkeypatch, *more, '--resume')
        assert not differs(truth, again), (event,deaths)
        assert capsys.readouterr().out.split('bits per byte')[1]==said.split('bits per byte')[1] # the sample, too

def test_the_comparison_can_fail(tmp_path, monkeypatch):
    "Without the state of the generators, what dropout draws is other"
    truth = outcome(tmp_path/'truth', monkeypatch)
    assert outcome(tmp_path/'a', monkeypatch, death=('after_batch',50,killed)) is None
    for k in '_put_state','_resume':
        def forgets(self, state, put=getattr(Checkpoint, k)): put(self, {k:v for k,v in state.items() if k!='random'})
        monkeypatch.setattr(Checkpoint, k, forgets)
    assert differs(truth['weights'], outcome(tmp_path/'a', monkeypatch, '--resume')['weights'])

script = '''
import os, signal, sys, torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv.pop(1))
import test_gpt as t
from optimloop.projects import gpt
from optimloop.basics.saved_state import save_state
folder,event,n = sys.argv[1:4]
make,learns = gpt.gpt_learner,[]
def watched(*args, cbs=(), **kwargs):
    die = t.DieAt(event, int(n), lambda: os.kill(os.getpid(), signal.SIGKILL))
    learns.append(make(*args, cbs=[*cbs, die], **kwargs))
    return learns[0]
gpt.gpt_learner = watched
assert t.program(folder, '--resume')==0
save_state(folder+'/../'+sys.argv[4], dict(learns[0].model.state_dict()))
'''

def in_process(folder, event, n, result):
    "Exit code of the program in a process of its own, that kills itself at the nth event"
    env = dict(os.environ, OMP_NUM_THREADS='1', OPTIMLOOP_DEVICE='cpu')
    here = os.path.dirname(os.path.abspath(__file__))
    res = subprocess.run([sys.executable, '-c', script, here, str(folder), event, str(n), result], env=env,
                         capture_output=True, text=True, timeout=300)
    assert res.returncode in (0,-signal.SIGKILL), res.stderr
    return res.returncode

def test_sigkill(tmp_path):
    "The process is gone in its second epoch, in the midst of a batch, and once more after that"
    assert in_process(tmp_path/'truth', 'after_batch', 10**9, 'truth.safetensors')==0
    for event,n in (('after_backward',61),('before_batch',9)):
        assert in_process(tmp_path/'a', event, n, 'a.safetensors')==-signal.SIGKILL
    assert in_process(tmp_path/'a', 'after_batch', 10**9, 'a.safetensors')==0
    truth,again = (load_state(tmp_path/f'{o}.safetensors') for o in ('truth','a'))
    assert len(truth)==20 and all(torch.equal(truth[k], again[k]) for k in truth)

def test_a_run_that_is_over(tmp_path, monkeypatch, capsys):
    truth = outcome(tmp_path/'a', monkeypatch)
    said = capsys.readouterr().out
    again = outcome(tmp_path/'a', monkeypatch, '--resume')
    assert not differs(truth['weights'], again['weights']) and truth['values']==again['values']
    out = capsys.readouterr().out
    assert 'this fit is over already' in out and out.split('bits per byte')[-1]==said.split('bits per byte')[-1]

@pytest.mark.parametrize('more,match', [
    (('--resume','--lr=.02'), 'begun with lr 0.01 (now 0.02)'), (('--resume','--seed=1'), 'seed 42 (now 1)'),
    (('--resume','--dropout=.3'), 'dropout 0.2 (now 0.3)'), (('--resume','--epochs=3'), 'epochs 2 (now 3)'),
    (('--resume','--n-acc=8'), 'n_acc None (now 8)'), ((), 'has a run in it: go on with --resume')])
def test_another_run_in_the_folder(tmp_path, monkeypatch, capsys, more, match):
    assert outcome(tmp_path/'a', monkeypatch, death=('after_batch',50,killed)) is None
    before = {o:o.read_bytes() for o in (tmp_path/'a').iterdir()}
    capsys.readouterr()
    assert program(tmp_path/'a', *more)==2
    out,err = capsys.readouterr()
    assert len(out.splitlines())<=1 # no more than the head of the table
    assert match in err and err.startswith('gpt: ') and err.count('\n')==1
    assert before=={o:o.read_bytes() for o in (tmp_path/'a').iterdir()}

@pytest.mark.parametrize('more,match', [
    (('--text=no.txt',), 'No such file'), (('--text=/dev/null',), 'the text is empty'),
    (('--block-size=9999',), 'block_size=9999'),
    (('--n-head=5',), 'dim=16, n_head=5'), (('--dropout=1.5',), 'dropout'), (('--lr=-1',), 'lr'), (('--bs=0',), 'bs=0'),
    (('--every-batches=0',), 'every_batches=0'), (('--n-acc=0',), 'n_acc=0'), (('--epochs=0',), 'epoch'),
    (('--prompt=',), 'prompt'),
    (('--length=-1',), 'length'), (('--folder=/dev/null/a',), 'Not a directory')])
def test_mistakes(tmp_path, capsys, more, match):
    "In one line, and before anything is trained"
    assert program(tmp_path/'a', *more)==2
    out,err = capsys.readouterr()
    assert 'epoch ' not in out and match in err and err.count('gpt: ')==1

def test_interrupted(tmp_path, monkeypatch, capsys):
    def ctrl_c(): raise KeyboardInterrupt
    def watched(*args, cbs=(), **kwargs):
        return gpt_learner(*args, cbs=[*cbs, DieAt('after_batch', 20, ctrl_c)], **kwargs)
    monkeypatch.setattr(gpt, 'gpt_learner', watched)
    assert program(tmp_path/'a')==130
    assert '--resume --folder' in capsys.readouterr().err

def test_as_a_module(tmp_path):
    env = dict(os.environ, OMP_NUM_THREADS='1', OPTIMLOOP_DEVICE='cpu')
    (file := tmp_path/'a.txt').write_text(text)
    argv = ['--text', str(file), '--folder', str(tmp_path/'a'), '--epochs=1', '--n-layer=1', '--length=20']
    run = partial(subprocess.run, capture_output=True, text=True, env=env, cwd=tmp_path, timeout=300)
    res = run([sys.executable, '-m', 'optimloop.projects.gpt', *argv])
    assert res.returncode==0 and 'Warning' not in res.stderr, res.stderr
    words = res.stdout.split()
    assert words[:5]=='epoch train_loss valid_loss bits_per_byte time'.split()
    assert {'uniform','bigram','GPT','The'}<={*words}
    res = run([sys.executable, '-m', 'optimloop.projects.gpt', *argv])
    assert res.returncode==2 and 'has a run in it' in res.stderr
