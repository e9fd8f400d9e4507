"""What `learn.save` and `learn.export` write, and what is refused when it is read; copies of a Learner; loaders that
begin in the midst of an epoch.

pytest tests/test_saving.py
"""
import copy, pickle, warnings
from functools import partial

import pytest, torch
import torch.nn.functional as F
from torch import nn

from optimloop.all import *
from optimloop.basics.saved_state import *
from optimloop.runs.parts import *
from optimloop.basics.course import *
from optimloop.learner import synth_learner

def line(path, model=None):
    return Learner(synth_dls(), nn.Linear(1, 1) if model is None else model, F.mse_loss, path=path)

# save and load

def test_other_files_and_models_are_refused(tmp_path):
    learn = line(tmp_path)
    learn.create_opt()
    save_state(learn.save('a').with_name('plain.safetensors'), dict(learn.model.state_dict()))
    with pytest.raises(ValueError, match='was not written by Learner.save'): learn.load('plain')
    torch.save(learn.model.state_dict(), tmp_path/'models'/'old.pth')
    with pytest.raises(FileNotFoundError,
        match='there is no .*old.safetensors. What is in old.pth can be read with torch.load'):
        learn.load('old')
    other = line(tmp_path, nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1)))
    with pytest.raises(ValueError,
        match=r'missing in the file: 0.weight, 0.bias, 1.weight, 1.bias; unexpected, .* name: weight, bias\.'):
        other.load('a')
    weights = [p.tolist() for p in other.model.parameters()]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter('always')
        other.load('a', strict=False)
    assert 'not loaded: missing in the file' in str(told[0].message) and 'the optimizer' in str(told[1].message), told
    assert [p.tolist() for p in other.model.parameters()]==weights

class Counts(Callback):
    n = 0
    def after_step(self): self.n += 1
    def state_dict(self): return dict(n=self.n)
    def load_state_dict(self, state): self.n = state['n']

def test_state_of_callbacks(tmp_path):
    learn = line(tmp_path)
    with learn.no_logging(), learn.added_cbs(Counts):
        learn.fit(1)
        learn.save('counted')
    assert learn.load('counted').cbs[-1].name=='progress' # its state is passed over where it is not
    learn.add_cb(Counts).load('counted')
    assert learn.counts.n==8

def test_a_wider_model_loads_what_fits(tmp_path):
    learn,wider = line(tmp_path),line(tmp_path, nn.Linear(2, 1))
    learn.create_opt()
    learn.save('a')
    before = [p.tolist() for p in wider.model.parameters()]
    with pytest.raises(ValueError, match=r'weight: \(1, 1\) in the file, \(1, 2\) in the model'): wider.load('a')
    assert [p.tolist() for p in wider.model.parameters()]==before and wider.opt is None
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter('always')
        wider.load('a', with_opt=False, strict=False)
    # what fits, and a warning of the rest
    assert (wider.model.bias.item(), wider.model.weight.tolist(), len(told))==(learn.model.bias.item(), before[0], 1)

def test_a_wrapped_model_has_plain_names(tmp_path):
    learn = line(tmp_path)
    learn.save('a')
    wrapped = line(tmp_path, torch.compile(nn.DataParallel(nn.Linear(1, 1).double()), backend='eager')).load('a')
    assert wrapped.model.module.weight.item()==learn.model.weight.item() # in another precision, and under other names
    assert set(load_state(wrapped.save('b'))['model'])=={'weight','bias'}
    assert learn.load('b').model.weight.item()==wrapped.model.module.weight.item()

# export

def test_export_and_load(tmp_path):
    new = lambda: synth_learner(opt_func=partial(SGD, mom=.9))
    learn = synth_learner(opt_func=partial(SGD, mom=.9), path=tmp_path, metrics=F.l1_loss)
    with learn.no_logging(): learn.fit(1)
    assert load_learner(learn.export('line.safetensors'), new).model.weight.item()==learn.model.weight.item()
    again = load_learner(learn.export('whole.pth', whole=True), trusted=True)
    assert again.validate(learn.dls.valid)==learn.validate()
    assert (again.recorder.learn is again, learn.recorder.learn is learn, len(again.dls.train))==(True,True,0)

def test_what_load_learner_refuses(tmp_path):
    learn = synth_learner(path=tmp_path)
    with learn.no_logging(): learn.fit(1)
    line,whole = learn.export('line.safetensors'),learn.export('whole.pth', whole=True)
    with pytest.raises(ValueError, match='trusted=True'): load_learner(whole)
    for junk in 'hello',line.read_bytes().decode('latin1')[:-100],'':
        (tmp_path/'junk').write_text(junk, encoding='latin1')
        with pytest.raises(ValueError, match='is damaged'): load_learner(tmp_path/'junk', synth_learner)
    with pytest.raises(TypeError, match='pass a Learner to put them into'): load_learner(line)
    wider = Learner(synth_dls(), nn.Linear(2, 1), F.mse_loss)
    with pytest.raises(ValueError, match=r'weight: \(1, 1\) in the file, \(1, 2\) in the model'):
        load_learner(line, wider)
    assert wider.opt is None
    learn.loss_func = lambda p,y: F.mse_loss(p, y)
    with pytest.raises(TypeError, match='cannot be pickled'): learn.export('whole.pth', whole=True)
    assert not list(tmp_path.glob('*.tmp'))

# a loader may begin in the midst of an epoch, and may have nothing left of it

class Later:
    def __init__(self, start): self.first_iter = start
    def __len__(self): return 5
    def __iter__(self): return iter([(torch.ones(2, 1),torch.ones(2, 1))]*(5-self.first_iter))

class Iters(Callback):
    order,run_valid = 1,False
    def before_fit(self): self.seen = []
    def after_batch(self): self.seen.append((self.iter,self.pct_train))

@pytest.mark.parametrize('start', [0,3,5])
def test_a_loader_that_begins_later(start):
    learn = Learner((Later(start),None), nn.Linear(1, 1), F.mse_loss, cbs=Iters)
    with learn.no_logging(): learn.fit(1)
    assert learn.iters.seen==[(i,(i+1)/5) for i in range(start, 5)]

# a copied or pickled Learner trains on as the original would

def two_epochs(copied):
    torch.manual_seed(0)
    learn = synth_learner(opt_func=Adam)
    with learn.no_logging(): learn.fit(1)
    learn = copied(learn)
    torch.manual_seed(1)
    with learn.no_logging(): learn.fit(1)
    return [p.item() for p in learn.model.parameters()] + learn.recorder.losses

def test_copies_train_on():
    expected = two_epochs(lambda learn: learn)
    assert two_epochs(copy.deepcopy)==expected
    assert two_epochs(lambda learn: pickle.loads(pickle.dumps(learn)))==expected
