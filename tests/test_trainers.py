"""One run in each of Lightning, Accelerate and the Hugging Face Trainer, with the optimizer of the first lesson and
with a wrapped one,
against torch's own. `pip install 'optimloop[trainers]'` brings all three; a test is skipped where its library is
missing."""
from functools import partial

import pytest, torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

from optimloop.optimizer import Adam
from optimloop.optimizers.wrapping import OptimWrapper

bare  = partial(torch.optim.AdamW, lr=.01, betas=(.9,.99), eps=1e-5, weight_decay=.1)
kinds = dict(ours=partial(Adam, lr=.01, wd=.1), wrapped=partial(OptimWrapper, opt=torch.optim.AdamW, lr=.01,
    sqr_mom=.99, eps=1e-5, wd=.1))
either = pytest.mark.parametrize('kind', kinds)
n_steps = 32 # two epochs of 16 batches

def make_sched(opt): return torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=.05, total_steps=n_steps)

class Line(Dataset):
    def __init__(self): self.x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    def __len__(self): return len(self.x)
    def __getitem__(self, i): return dict(x=self.x[i], labels=self.x[i].sum(0, keepdim=True) + 1)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(3,8), nn.Tanh(), nn.Linear(8,1))
    def forward(self, x, labels): return dict(loss=F.mse_loss(self.layers(x), labels))

def batches(): return DataLoader(Line(), batch_size=4)
def weights(net): return torch.cat([p.detach().flatten() for p in net.parameters()])

def plain_torch():
    "What every run must arrive at: the weights, and the scheduled hyper-parameters"
    net = Net()
    opt = bare(net.parameters())
    sched = make_sched(opt)
    for batch in [*batches()]*2:
        opt.zero_grad()
        net(**batch)['loss'].backward()
        opt.step()
        sched.step()
    return weights(net), opt.param_groups[0]['lr'], opt.param_groups[0]['betas'][0]

def check(net, opt):
    "`net` and `opt` are where torch's own loop and optimizer would be"
    end,lr,mom = plain_torch()
    torch.testing.assert_close(weights(net), end, rtol=1e-5, atol=1e-6)
    assert (opt.lr,opt.mom) == (lr,mom)

@either
def test_lightning(kind, tmp_path):
    lightning = pytest.importorskip('lightning.pytorch')
    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = Net()
        def training_step(self, batch): return self.net(**batch)['loss']
        def configure_optimizers(self):
            self.opt = kinds[kind](self.net.parameters())
            return dict(optimizer=self.opt, lr_scheduler=dict(scheduler=make_sched(self.opt), interval='step'))
    quiet = dict(accelerator='cpu', logger=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=tmp_path)
    module,trainer = Module(),lightning.Trainer(max_epochs=2, **quiet)
    trainer.fit(module, batches())
    check(module.net, module.opt)

    half = lightning.Trainer(max_epochs=1, **quiet)
    half.fit(Module(), batches())
    half.save_checkpoint(tmp_path/'half.ckpt')
    module,rest = Module(),lightning.Trainer(max_epochs=2, **quiet)
    rest.fit(module, batches(), ckpt_path=tmp_path/'half.ckpt')
    check(module.net, module.opt)

@either
def test_accelerate(kind, tmp_path):
    accelerate = pytest.importorskip('accelerate')
    accelerator = accelerate.Accelerator(cpu=True)
    def start():
        net = Net()
        opt = kinds[kind](net.parameters())
        return opt, *accelerator.prepare(net, opt, batches(), make_sched(opt))
    def epoch(net, opt, dl, sched):
        for batch in dl:
            opt.zero_grad()
            accelerator.backward(net(**batch)['loss'])
            accelerator.clip_grad_norm_(net.parameters(), 1e6)
            opt.step()
            sched.step()
    opt,*run = start()
    epoch(*run)
    accelerator.save_state(tmp_path/'half')
    epoch(*run)
    check(run[0], opt)

    accelerator.free_memory()
    opt,*run = start()
    accelerator.load_state(tmp_path/'half')
    epoch(*run)
    check(run[0], opt)

@either
def test_hugging_face_trainer(kind, tmp_path):
    transformers = pytest.importorskip('transformers')
    pytest.importorskip('accelerate')
    class InOrder(transformers.Trainer):
        def get_train_dataloader(self): return batches()
    def trainer():
        net = Net()
        opt = kinds[kind](net.parameters())
        args = transformers.TrainingArguments(str(tmp_path), num_train_epochs=2, per_device_train_batch_size=4,
            use_cpu=True, report_to=[],
            disable_tqdm=True, save_strategy='epoch', max_grad_norm=1e6)
        return net, opt, InOrder(net, args, train_dataset=Line(), optimizers=(opt,make_sched(opt)))
    net,opt,t = trainer()
    t.train()
    check(net, opt)

    net,opt,t = trainer()
    t.train(resume_from_checkpoint=str(tmp_path/f'checkpoint-{n_steps//2}'))
    check(net, opt)
