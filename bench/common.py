"""What the benchmarks share: the network, lists of names on the command line, and the name of the machine."""
import argparse, os, platform

import torch.nn.functional as F
from torch import nn

os.environ.setdefault('OPTIMLOOP_DEVICE', 'cpu') # a Learner leaves its model where a benchmark puts it

class Block(nn.Module):
    "Two convolutions and a way around them"
    def __init__(self, n_in, n_out, stride):
        super().__init__()
        def conv(a, b, k, s): return [nn.Conv2d(a, b, k, s, k//2, bias=False), nn.BatchNorm2d(b)]
        self.body = nn.Sequential(*conv(n_in, n_out, 3, stride), nn.ReLU(), *conv(n_out, n_out, 3, 1))
        self.around = nn.Sequential(*conv(n_in, n_out, 1, stride)) if stride>1 else nn.Identity()
    def forward(self, x): return F.relu(self.body(x) + self.around(x))

def resnet34():
    layers,n_in = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)],64
    for n_out,depth in ((64,3), (128,4), (256,6), (512,3)):
        for i in range(depth):
            layers.append(Block(n_in, n_out, 2 if i==0 and n_out>64 else 1))
            n_in = n_out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))

def names_of(what, known, needed=False):
    "A type for argparse: names out of `known`, with commas between them"
    def parse(s):
        res = [o.strip() for o in s.split(',') if o.strip()]
        bad = [o for o in res if o not in known]
        if bad or needed and not res:
            raise argparse.ArgumentTypeError(f"no {what} {', '.join(bad) or 'given'}: choose from {','.join(known)}")
        return res
    return parse

def cpu_name():
    try: return next(o.split(':')[1].strip() for o in open('/proc/cpuinfo') if o.startswith('model name'))
    except (OSError, StopIteration): return platform.processor() or platform.machine()
