"""Random steppers, run by the engines side by side: the loop is the definition, and the others must do what it does.

python tests/fuzz_steppers.py --n 5000 --seed 0 --engines batched,compiled --dtypes float32,float64,bfloat16,float16
python tests/fuzz_steppers.py --only 17 --engines batched      # one script again, with its source

A script is one to four steppers (Python source, so that it can be printed), parameters of odd shapes and layouts,
gradients that come and go, and edits of groups, state and storage between the steps. What is promised, and so what is
checked after each step, of weights, gradients and state (keys, types, dtypes, shapes, values):
- batched is the loop bit for bit in fp32 and fp64, with contiguous tensors and operations that are rounded correctly;
  to rounding (16 eps of the largest number in the tensor) in half precision, for transcendental functions and with
  other layouts. Where a script magnifies rounding, the loop itself, started one eps away, says by how much;
- compiled is the loop to 1e-6 of the largest number;
- an exception has the type that the loop's has; weights and state are then as before the step, or as the loop leaves
  them.

`--backend none` runs what the compiled engine would compile as plain Python: that makes thousands of scripts possible.
"""
import argparse, copy, json, math, os, pickle, random, re, sys, time, traceback, types, warnings, zlib
from collections import Counter, defaultdict

import numpy as np
import torch
from torch import nn

from optimloop.optimizers import engines
from optimloop.optimizer import Optimizer

# What a stepper is made of: "weight tags | template". In a template {f} is a tensor of the parameter's shape, {o} a
# tensor with one number,
# {n} a number, {u} one in (0,1), {t} a tensor to write into; {T} {O} {N} name what is new; the tag `exact-only` stands
# for steps in a function.
GRAMMAR = dict(
f="""
9 | {leaf}
3 | ({f} + {f})
2 | ({f} - {f})
2 | {f}*{n}
2 | {n}*{f}
1 | {f}/{n}
1 | {f}/({f}.abs() + 1)
1 | -{f}
1 | torch.mul({f}, {f})
2 | {f}.add({f}, alpha={n})
1 | {f}.add(other={f}, alpha={n})
1 | torch.sub({f}, {f}, alpha={n})
1 | {f}.addcmul({f}, {f}, value={n})
1 | {f}.addcdiv({f}, {f}.abs() + 1, value={n})
1 | torch.addcdiv({f}, {f}, {f}.abs() + 1, value={n})
2 | {f}.lerp({f}, {u})
1 | torch.lerp({f}, {f}, {u})
1 | {f}.abs().sqrt()
1 | ({f}.abs() + 1).rsqrt()
1 | {f}.square()
1 | {f}**2
1 | {f}.pow(2)
1 | {f}.clamp(-1, 1)
1 | torch.clamp({f}, min=-{u}, max={u})
1 | torch.maximum({f}, {f})
1 | {f}.abs().reciprocal().clamp(max=2)
1 | {f}.nan_to_num()
1 | {f}.clone()
1 | torch.zeros_like({f})
1 | torch.full_like({f}, {n})
1 | torch.empty_like({f}).copy_({f})
1 alias | {f}.float()
1 alias | {f}.double()
1 alias | {f}.to(p.dtype)
1 alias | {f}.to(torch.float32)
1 alias | {f}.type_as(p)
1 alias | {f}.contiguous()
1 alias | {f}.reshape(-1).mul({n}).view(p.shape)
1 alias | {f}.flatten().add({n}).reshape(p.shape)
1 alias | {f}.unsqueeze(0).add({f}).squeeze(0)
1 alias | {f}.transpose(0, -1).mul({n}).transpose(0, -1)
1 join | torch.stack([{f}, {f}]).sum(0)
1 join | torch.cat([{f}.reshape(-1), {f}.reshape(-1)])[:p.numel()].view(p.shape)
1 foreach | torch._foreach_mul([{f}], {n})[0]
1 transc | torch.sigmoid({f})
1 transc | {f}.tanh()
1 transc | torch.nn.functional.softplus({f})
1 transc | {f}.clamp(-3, 3).exp()
1 transc | ({f}.abs() + 1).log()
1 transc | ({f}.abs() + .1)**{u}
1 transc | ({f}.abs() + .1).pow({n})
1 jump | {f}.sign()
1 jump | torch.where({f} > {f}, {f}, {f})
1 jump | torch.where({f} > 0, {f}, {n})
1 jump | {f}.masked_fill({f} > {u}, {n})
1 jump | ({f}*8).round()/8
1 jump | ({f} < {f}).to(p.dtype)
1 jump | ({f}*{f} > 0)*{f}
2 reduce | {f}*{o}
1 reduce | {f}/({o}.abs() + 1)
1 reduce | {f}.add({f}, alpha={o})
1 reduce | {f}.lerp({f}, {o}.clamp(0, 1))
1 reduce | {f}.clamp(max={o}.abs())
1 reduce jump | torch.where({o} > {o}, {f}, {f})
1 reduce jump | {f}.masked_fill({f} > {u}, {o})
1 random | {f}*torch.rand_like(p)
1 random | {f}*torch.rand(())
""",
o="""
3 | {leaf_o}
3 | {f}.norm()
2 | torch.linalg.vector_norm({f})
2 | {f}.mean()
1 | torch.mean({f})
1 | {f}.abs().sum()
1 | ({f}*{f}).mean()
1 | {f}.norm(1)
1 | torch.dot({f}.reshape(-1), {f}.reshape(-1))
1 | {f}.sum()/({f}.norm() + 1)
1 | {o}/({o}.abs() + 1)
1 | {o}*{n}
1 | {o}.abs().sqrt()
1 | torch.minimum({o}, {o})
1 | torch.stack([{o}, {o}]).mean()
1 | torch.tensor({n})
""",
n="""
6 | {u}
2 | lr
2 | mom
1 | -{u}
1 | (1 - lr*wd)
1 | 2
1 | np.float64({u})
1 | {leaf_n}
1 | math.sqrt(n{i} + 1)/4
1 identity | R.get(id(p), .5)
""",
s=r"""
5 | {T} = {f}
1 alias | {T} = p.data
1 alias | {T} = p.detach().view_as(p)
2 reduce | {O} = {o}
1 value reduce | {N} = {o}.item()
1 value reduce | {N} = float({o})
1 | {N} = {n}*{n}
2 | {t}.mul_({n})
2 | {t}.add_({f}, alpha={n})
1 | {t} += {f}*{u}
1 | {t} *= {u}
1 | {t}.copy_({f})
1 | {t}.clamp_(-1, 1)
1 | {t}.addcmul_({f}, {f}, value={n})
1 | {t}.lerp_({f}, {u})
1 | {t}.neg_().add_({f})
1 reduce | {t}.mul_({o}.clamp(-1, 1))
1 reduce | {t}.div_({o}.abs() + 1)
1 reduce | {t}.add_({o}, alpha={u})
1 reduce | {lo}.mul_({u})
1 reduce | {lo} += {u}
2 | if flag: {w}
1 | if n{i} % 2: {w}
1 | if do_wd: p.data.mul_(1 - lr*wd)
1 value reduce | if flag and {o}.item() < 1e9: {w}
1 value reduce | if n{i} > 1 and float({o}) >= 0: {w}
1 value jump reduce | if {o} > {u}: {w}
1 identity | if p is K[0]: {w}
1 identity | if type(p) is nn.Parameter: {w}
1 identity | if isinstance(p, nn.Parameter): {w}
1 identity | if p in D: p.data.mul_(D[p])
1 identity | p.data.mul_(1 - lr*R.get(id(p), 0))
1 identity | if any(p is o for o in K[1:3]): {w}
1 shape | if p.ndim == 2: {w}
1 shape | if p.numel() > 10: {w}
1 shape | if p.dtype == torch.float32 and p.device.type == 'cpu': {w}
1 shape | p.data.mul_(1 - lr/(1 + len(p.shape)))
1 shape | p.data.add_({f}, alpha=-lr/max(1, p.numel())**.5)
1 shape | if p.requires_grad and hasattr(p, 'grad') and p.is_leaf: {w}
1 shape | if p.ndim and p.size(0) > 3: {w}
1 shape | if p.is_contiguous(): {w}
1 grad | p.grad.add_(p.data, alpha=wd)
1 grad | p.grad.mul_({u})
1 grad | p.grad = p.grad + {f}*{u}
1 grad alias | p.grad.float().mul_({u})
1 grad | p.grad = p.grad.clone().mul_({n})
1 try | try: {w}\n    except Exception: p.data.mul_({u})
1 try value reduce | try: c = float({o})\n    except Exception: c = {n}\n    p.data.mul_(1 - lr*min(abs(c), 1.))
1 try value reduce | try: assert {o} < 1e30\n    except Exception: p.data.zero_()
1 raise identity | if p is K[-1] and n{i} == {k}: raise ValueError('on purpose')
1 raise | if n{i} == {k} and p.ndim == 2: raise KeyError('on purpose')
1 raise | if n{i} == {k} and p.shape == K[-1].shape: p.data.add_(p.data.new_zeros(p.numel() + 2))
1 closure | C['calls'] = C.get('calls', 0) + 1; {N} = 1/C['calls']
1 closure identity | C.setdefault(id(p), len(C)); {N} = C[id(p)]/8
1 pyrandom | {N} = random.random()
1 sum | if p.ndim: {T} = torch.zeros_like(p).copy_(p.data.cumsum(0)*{u})\n    else: {T} = p.data*{u}
1 other identity | {T} = {f}; p.data.mul_(1 - lr*K[0].data.abs().mean().clamp(max=1))
""",
w=r"""
5 | p.data.add_({f}, alpha=-lr)
2 | p.data.sub_(lr*{f})
1 | p.data.mul_(1 - lr*wd)
1 | p.data -= lr*{f}
1 | p.sub_({f}, alpha=lr)
1 | p.data.addcdiv_({f}, {f}.abs() + 1, value=-lr)
1 | p.data.addcmul_({f}, {f}, value=-lr)
1 | p.data.lerp_({f}, {u})
1 | p.data.copy_(p.data - lr*{f})
1 | p.data = p.data - lr*{f}
1 | p.detach().add_({f}, alpha=-lr)
1 | torch.add(p.data, {f}, alpha=-lr, out=p.data)
1 | torch.sub(p.data, lr*{f}, out=p.data)
1 | d = p.data; d += {f}*(-lr)
1 | p.data.add_(other={f}, alpha=-lr)
1 | p.data.add_({f}.sub_({f}), alpha=-lr)
1 reduce | p.data.add_({f}, alpha=-lr*{o})
1 reduce | p.data.addcdiv_({f}, {f}.abs() + 1, value=-lr*{o})
1 reduce | p.data.sub_({f}*(lr*{o}))
1 reduce | p.data.mul_(1 - lr*{o}.clamp(-1, 1))
1 reduce | p.data.fill_({o})
1 reduce jump | p.data.masked_fill_({f} > {u}, {o})
1 jump | p.data.masked_fill_({f} > {u}, {n})
1 foreach | torch._foreach_add_([p.data], [{f}], alpha=-lr)
1 alias | p.data.float().add_({f}, alpha=-lr)
1 alias | p.data.to(torch.float32).mul_({u})
1 alias | p.data.to(p.dtype).sub_(lr*{f})
1 alias | p.data.contiguous().mul_({u})
1 alias | p.data.reshape(-1).mul_({u})
1 alias | p.data.flatten().add_({n})
1 alias | p.data.view_as(p).sub_(lr*{f})
1 alias | p.data.unsqueeze(0).mul_({u})
1 alias | if p.ndim < 3: p.data.t().sub_(lr*{f}.t())
1 alias | p.data[...] = {f}*{u}
1 alias slice | if p.ndim: p.data[:{k}].mul_({u})
1 alias slice | if p.ndim: p.data[:{k}].sub_(p.grad[:{k}], alpha=lr)
1 alias slice | if p.ndim == 2: p.data[:, :1] = p.data[:, :1]*{u}
1 alias slice | if p.numel() > 1 and p.is_contiguous(): p.data.view(-1)[{k}:].sub_(p.grad.reshape(-1)[{k}:], alpha=lr)
""",
# state of a stepper, under m (a tensor), c (one number in a tensor) and n (a number); {i} is the number of the stepper
k=r"""
6 | if m{i} is None: m{i} = torch.zeros_like(p.grad)\n    m{i}.mul_(mom).add_({f}, alpha={u}) => 'm{i}': m{i}
3 | m{i} = {f} if m{i} is None else m{i}*mom + {f} => 'm{i}': m{i}
2 | if m{i} is None: m{i} = p.data.clone()\n    p.data.lerp_(m{i}, {u}); m{i}.lerp_(p.data, {u}) => 'm{i}': m{i}
2 | if m{i} is None: m{i} = torch.zeros_like(p)\n    m{i}.lerp_({f}, {u}); p.data.sub_(m{i}, alpha=lr) => 'm{i}': m{i}
1 | if n{i} == {k}: m{i} = p.grad.clone()\n
      if n{i} > {k}: m{i}.mul_(mom).add_(p.grad); p.data.sub_(lr*m{i}) => **({'m{i}': m{i}} if n{i} >= {k} else {})
1 | m{i} = None if n{i} == {k} else torch.zeros_like(p) if m{i} is None else m{i}.mul_(mom).add_(p.grad) => 'm{i}': m{i}
1 keepalias | m{i} = p.grad => 'm{i}': m{i}
1 keepalias | m{i} = p.data => 'm{i}': m{i}
1 twokeys | m{i} = torch.zeros_like(p) if m{i} is None else m{i}.mul_(mom).add_(p.grad) => 'm{i}': m{i}, 'c{i}': m{i}
1 twokeys | if m{i} is None: m{i},c{i} = torch.zeros_like(p),p.grad.clone()\n
      m{i}.add_(p.grad); p.data.sub_(m{i}, alpha=lr) => 'm{i}': c{i}, 'c{i}': m{i}
1 kind | m{i} = p.grad.double() if n{i} == {k} else p.grad*{u} => 'm{i}': m{i}
1 kind | if m{i} is None: m{i} = torch.zeros_like(p)\n
      m{i} = m{i}.double() if n{i} == {k} else m{i}.mul_(mom).add_(p.grad) => 'm{i}': m{i}
1 kind reduce | m{i} = p.grad.norm() if n{i} == {k} else p.grad*{u} => 'm{i}': m{i}
1 kind reduce | c{i} = {u} if n{i} == {k} else p.grad.norm() => 'c{i}': c{i}
1 kind | m{i} = n{i} if n{i} % 2 else p.grad.clone() => 'm{i}': m{i}
1 kind | m{i} = p.grad.reshape(-1)[:{k}].clone() => 'm{i}': m{i}
1 kind | m{i} = p.data.new_zeros(p.shape[:1]) if m{i} is None else m{i} + 1 => 'm{i}': m{i}
1 kind | m{i} = (p.grad > 0) if n{i} % 2 else p.grad.clone() => 'm{i}': m{i}
1 kind | m{i} = [p.grad.clone()] if m{i} is None else [m{i}[0]*mom + p.grad]\n
      p.data.sub_(m{i}[0], alpha=lr) => 'm{i}': m{i}
2 reduce | c{i} = p.grad.norm() if c{i} is None else c{i}*mom + p.grad.norm()\n
      p.data.mul_(1 - lr*c{i}/(c{i}.abs() + 1)) => 'c{i}': c{i}
1 reduce | if c{i} is None: c{i} = torch.zeros((), dtype=p.dtype)\n
      c{i}.mul_(mom).add_({f}.mean()); p.data.sub_(lr*c{i}) => 'c{i}': c{i}
2 | c{i} = torch.tensor(0.) if c{i} is None else c{i} + 1\n    p.data.mul_(1 - lr/(1 + c{i})) => 'c{i}': c{i}
1 | if c{i} is None: c{i} = torch.tensor(0.)\n    c{i} += 1; p.data.mul_(1 - lr/(1 + c{i})) => 'c{i}': c{i}
1 value | c{i} = 0. if c{i} is None else c{i} + p.grad.abs().sum().item()\n
      p.data.mul_(1 - lr*c{i}/(c{i} + 1)) => 'c{i}': c{i}
1 odd | c{i} = np.float64(.5) if c{i} is None else c{i}*.5\n    p.data.mul_(1 - lr*c{i}) => 'c{i}': c{i}
1 odd | c{i} = float('inf') if c{i} is None else min(c{i}, n{i} + 1.)\n    p.data.clamp_(-c{i}, c{i}) => 'c{i}': c{i}
1 odd | c{i} = ('a', None, True, 3, 2**70, 1e-300)[n{i} % 6] => 'c{i}': c{i}
1 odd | c{i} = not c{i}\n    if c{i}: p.data.mul_({u}) => 'c{i}': c{i}
1 odd | c{i} = p.dtype, p.device => 'c{i}': c{i}
1 odd shape | c{i} = p.numel()\n    p.data.mul_(1 - lr/(1 + c{i})) => 'c{i}': c{i}
1 reads | if isinstance(m0, torch.Tensor) and m0.shape == p.shape: p.data.sub_(m0, alpha=lr*{u}) => 
""")

def _rules(text):
    lines = text.strip('\n').replace('\n  ', '').split('\n') # two spaces: the line before goes on
    rows = [re.fullmatch(r'(\d+)([^|]*)\| (.*)', o).groups() for o in lines]
    return [int(w) for w,_,_ in rows],[(t.split(),o.replace('\\n', '\n')) for _,t,o in rows]
RULES = {k:_rules(o) for k,o in GRAMMAR.items()}
# in few scripts, because one such line is enough for the loop to do it all
RARE = {'value','raise','try','closure','pyrandom','identity','random','sum','other','foreach','join','grad'}
# in some scripts
LESS = {'shape','kind','odd','twokeys','keepalias','slice','alias','transc','reduce','jump'}
SHAPES = [(), (1,), (7,), (3,4), (4,4), (0,), (2,0), (5,), (13,), (2,3,2)]
LARGE = [(20_000,), (300,1000)]

def _is_sum(text):
    while text!=(text := re.sub(r'\([^()]*\)', '', text)): pass
    return re.search('[-+*/<>]', text)

class Writer:
    "Writes one stepper"
    def __init__(self, rng, i, without):
        self.rng,self.i,self.without,self.tags,self.n,self.locals = rng,i,without,set(),0,dict(f=[], o=[], n=[])

    def rule(self, kind):
        while True:
            tags,template = self.rng.choices(RULES[kind][1], RULES[kind][0])[0]
            if not self.without.isdisjoint(tags): continue
            self.tags.update(tags)
            return template

    def write(self, template, depth, new):
        def part(m): return self.part(m[1], depth, new)
        return re.sub(r'\{(\w+)\}', part, template)

    def part(self, k, depth, new):
        r,loc = self.rng,self.locals
        if k=='leaf':   return r.choice(['p.data','p.grad','p.grad','p.grad.data','p.detach()','p', *loc['f']*2])
        if k=='leaf_o':
            return r.choice(loc['o']) if loc['o'] else self.write(r.choice(['{f}.norm()','{f}.mean()']), depth-1, new)
        if k=='leaf_n': return r.choice(loc['n'] or ['wd'])
        if k=='u': return f'{r.uniform(.05, .95):.2f}'
        if k=='k': return str(r.randint(1, 3))
        if k=='i': return str(self.i)
        if k=='t': return r.choice([*loc['f']*3, 'p.data'])
        if k=='lo': return r.choice(loc['o']) if loc['o'] else 'p.data'
        if k in ('T','O','N'):
            new.append((k.lower().replace('t', 'f'), f't{self.n}'))
            self.n += 1
            return new[-1][1]
        if k=='f' and depth<=0: return self.part('leaf', depth, new)
        if k=='o' and depth<=0: return self.write('{leaf_o}', 0, new)
        res = self.write(self.rule(k), depth-1, new)
        if k=='w': return res if res[:3]!='if ' else self.part(k, depth, new)
        return f'({res})' if _is_sum(res) else res

    def line(self, kind, depth=2):
        new = []
        res = self.write(self.rule(kind), depth, new)
        # a name that may be missing later
        if res.startswith('if') and new and '\n' not in res: return self.line(kind, depth)
        for k,name in new: self.locals[k].append(name)
        return res

    def stepper(self):
        "Lines of the body, the last of which returns the state"
        r,kept = self.rng,[f"'n{self.i}': n{self.i} + 1"]
        lines = [self.line('s') for _ in range(r.choice([0,1,1,2,3]))]
        for _ in range(r.choice([0,0,1,1,2])):
            body,keep = self.line('k', 1).split(' =>')
            lines.append(body)
            if keep.strip(): kept.append(keep.strip())
        lines += [self.line(r.choice('ws')) for _ in range(r.choice([0,1]))]
        lines.append(self.line('w'))
        return [*lines, f"return {{{', '.join(kept)}}}"]

def head(i):
    tensors = ', '.join(dict.fromkeys(['m0=None', f'm{i}=None']))
    return f"def s{i}(p, lr, mom, wd, flag=False, do_wd=True, {tensors}, c{i}=None, n{i}=0, **kwargs):"

class Script:
    "What is drawn for a seed: all that it takes to run it, and to make it smaller"
    def __init__(self, seed, dtype='float32', plain=False):
        r = self.rng = random.Random(f'{seed} {dtype}')
        self.seed,self.dtype,self.tags = seed,dtype,set()
        without = {o for o in sorted(RARE) if r.random()<.85} | {o for o in sorted(LESS) if r.random()<.5}
        if dtype in ('bfloat16','float16') or plain: without.add('jump') # it would make a rounding a leap
        self.bodies = {} # from the number of a stepper to its lines
        for i in range(r.choice([1,1,2,2,3,4])):
            w = Writer(r, i, without)
            self.bodies[i] = w.stepper()
            self.tags |= w.tags
        self.draw_params(r.random()<.35)
        self.draw_steps(r.choice([3,4,5,7]))

    def draw_params(self, odd):
        r = self.rng
        self.params = [(r.choice(LARGE if r.random()<.02 else SHAPES), 'c', 0)
                       for _ in range(r.choice([1,3,5,6,7,9,12]))]
        if r.random()<.25: self.params = [(self.params[0][0], *o[1:]) for o in self.params] # all of one shape
        if odd:
            self.tags.add('layout')
            for _ in range(r.randint(1, 3)):
                j = r.randrange(len(self.params))
                kind = r.choice(['t','t','slice','overlap','same'])
                self.params[j] = self.params[j][0],kind,r.randrange(len(self.params))
        self.mixed = r.random()<.08
        self.odd,self.cut = odd,r.choice([0,0,1,2,4])
        self.hypers = dict(lr=r.choice([.1,.01,.03]), mom=r.choice([.9,.5,0.]), wd=r.choice([.1,.01,0.]))

    def draw_steps(self, n):
        r = self.rng
        p_none,p_odd,p_edit = r.choice([0,0,.1,.3]),.2 if self.odd else 0,r.choice([0,.3,.7])
        def kinds():
            if r.random()<p_none: return 'none'
            return r.choice(['t','e','t']) if r.random()<p_odd else 'keep' if r.random()<.05 else 'c'
        self.steps = []
        for _ in range(n):
            edits = [(r.choice(list(EDITS)), r.randrange(12), r.random())
                     for _ in range(r.choice([1,1,2]))] if r.random()<p_edit else []
            grads = [kinds() for _ in self.params]
            if r.random()<.02: grads[r.randrange(len(grads))] = 'sparse'
            self.steps.append((edits, grads))

    def source(self):
        return '\n\n'.join(head(i) + ''.join(f'\n    {o}' for o in body) for i,body in self.bodies.items())

    def __str__(self):
        lines = [f'# seed {self.seed}, {self.dtype}{", mixed" if self.mixed else ""}; hypers {self.hypers}; '
                 f'second group from parameter {self.cut or None}', self.source(),
                 '# parameters: ' + ', '.join(f'{shape}' + (f' {kind}' if kind!='c' else '')
                     + (f' of {j}' if kind in ('overlap','same') else '') for shape,kind,j in self.params)]
        lines += [f"# step {i}: edits {[o[:2] for o in edits]}; gradients {' '.join(grads)}"
                  for i,(edits,grads) in enumerate(self.steps)]
        return '\n'.join(lines)

    def promise(self, engine):
        "Numbers may differ by this much of the largest in a tensor"
        half = self.dtype in ('bfloat16','float16') or self.mixed
        eps = torch.finfo(torch.bfloat16 if self.mixed else getattr(torch, self.dtype)).eps
        if engine=='compiled': return max(1e-6, 16*eps if half else 0)
        return 16*eps if half or self.tags & {'transc','layout'} else 0

def numbers(shape, *seed):
    g = torch.Generator().manual_seed(zlib.crc32(repr(seed).encode()))
    return torch.randn(shape, generator=g, dtype=torch.float64)

class Run:
    "A script under one engine"
    def __init__(self, script, engine, jitter=0):
        self.script,self.engine,self.jitter,self.saved = script,engine,jitter,None
        self.ps = [self.param(j) for j in range(len(script.params))]
        mod = self.mod = types.ModuleType('fuzzed')
        self.K,self.R,self.D,self.C = [],{},{},{}
        mod.__dict__.update(torch=torch, nn=nn, np=np, math=math, random=random, K=self.K, R=self.R, D=self.D, C=self.C)
        self.name_params()
        exec(compile(script.source(), 'fuzzed', 'exec'), mod.__dict__)
        cbs = [mod.__dict__[f's{i}'] for i in script.bodies]
        for cb in cbs: cb.defaults = dict(mom=.9, wd=0.)
        groups = [dict(params=self.ps[:script.cut]),
                  dict(params=self.ps[script.cut:], lr=.02)] if 0<script.cut<len(self.ps) else self.ps
        torch.manual_seed(0), random.seed(0)
        self.opt = Optimizer(groups, cbs, engine=engine, **script.hypers)

    def noise(self, t, *seed):
        return t if not self.jitter else t*(1
                                            + torch.finfo(t.dtype).eps*numbers(t.shape, *seed, self.jitter).to(t.dtype))

    def param(self, j):
        s = self.script
        shape,kind,other = s.params[j]
        dtype = torch.bfloat16 if s.mixed and j%3==0 else getattr(torch, s.dtype)
        t = self.noise(numbers(shape, s.seed, j).to(dtype), s.seed, j)
        if kind=='t' and t.ndim>1: t = t.transpose(0, 1).contiguous().transpose(0, 1)
        if kind=='slice': t = torch.cat([t.new_zeros(3), t.reshape(-1)])[3:].view(shape)
        if kind in ('overlap','same') and other<j:
            base = self.__dict__.setdefault('_made', {}).get(other)
            if base is not None and base.dtype==dtype and base.is_contiguous():
                flat = base.view(-1)
                t = flat if kind=='same' else flat[len(flat)//2:] # a parameter of other shape in the same memory
        self.__dict__.setdefault('_made', {})[j] = t
        return nn.Parameter(t)

    def name_params(self):
        self.K[:] = self.ps
        self.R.clear(), self.D.clear()
        self.R.update({id(p):j/8 for j,p in enumerate(self.ps)})
        self.D.update({p:1 - j/32 for j,p in enumerate(self.ps) if j%2})

    def set_grads(self, i, kinds):
        for j,(p,kind) in enumerate(zip(self.ps, kinds)):
            g = self.noise(numbers(p.shape, self.script.seed, 'g', i, j).to(p.dtype), self.script.seed, 'g', i, j)
            if kind=='t' and g.ndim>1: g = g.transpose(0, 1).contiguous().transpose(0, 1)
            if kind=='e' and g.ndim: g = g[:1].expand_as(g) if g.size(0) else g
            if kind=='sparse' and g.ndim: g = g.to_sparse(1)
            if kind=='none' or not p.requires_grad: p.grad = None
            elif kind=='keep' and p.grad is not None and p.grad.layout==torch.strided and p.grad.is_contiguous() \
                 and (p.grad.shape,p.grad.dtype)==(g.shape,g.dtype): p.grad.copy_(g)
            else: p.grad = g

    def seen(self):
        "Copies of weights, gradients and state"
        copied = lambda v: v.detach().clone() if isinstance(v, torch.Tensor) else copy.deepcopy(v)
        states = [{k:copied(v) for k,v in self.opt.state.get(p, {}).items()} for p in self.ps]
        return [p.detach().clone() for p in self.ps],[None if p.grad is None else copied(p.grad)
                                                      for p in self.ps],states

    def step(self, i, before=False):
        "What an error was, and what is there afterwards"
        edits,grads = self.script.steps[i]
        edit_error = None
        self.opt.engine,sys.modules['fuzzed'] = self.engine,self.mod # where pickle finds the steppers
        for name,j,x in edits:
            try: EDITS[name](self, j, x)
            except Exception as e: edit_error = type(e).__name__
        self.set_grads(i, grads)
        torch.manual_seed(i), random.seed(i)
        if before: return None,self.seen()
        try: self.opt.step()
        except Exception as e: return (type(e).__name__,edit_error,str(e)),self.seen()
        return (None,edit_error,''),self.seen()

# Edits between two steps: f(run, j, x) with a random index and a random number
EDITS = {}
def edit(f):
    EDITS[f.__name__] = f
    return f
def _p(run, j): return run.ps[j%len(run.ps)]
def _tensor(run, j):
    state = run.opt.state[_p(run, j)]
    return state,next((k for k,v in sorted(state.items()) if isinstance(v, torch.Tensor) and v.is_floating_point()),
                      None)

@edit
def lr(run, j, x): run.opt.lr = x/10
@edit
def group_lr(run, j, x): run.opt.param_groups[j%len(run.opt.param_groups)]['lr'] = x/10
@edit
def group_wd(run, j, x): run.opt.param_groups[0]['wd'] = x if x>.5 else 0.
@edit
def flag(run, j, x): run.opt.state[_p(run, j)]['flag'] = x>.3
@edit
def flag_all(run, j, x):
    for p in run.ps: run.opt.state[p]['flag'] = x>.3
@edit
def do_wd(run, j, x): run.opt.state[_p(run, j)]['do_wd'] = x>.7
@edit
def empty_state(run, j, x): run.opt.state[_p(run, j)] = {}
@edit
def pop_state(run, j, x): run.opt.state.pop(_p(run, j), None)
@edit
def clear_state(run, j, x): run.opt.clear_state()
@edit
def clear_then_flag(run, j, x):
    run.opt.clear_state()
    for p in run.ps[::2]: run.opt.state[p]['do_wd'] = False
@edit
def split_group(run, j, x):
    g = run.opt.param_groups[0]
    k = 1 + j%len(g['params'])
    rest = g['params'][k:]
    del g['params'][k:]
    if rest: run.opt.add_param_group(dict(params=rest, lr=0. if x<.5 else .05))
@edit
def other_group(run, j, x): run.opt.param_groups[0] = {**run.opt.param_groups[0], 'lr': 0. if x<.5 else .05}
@edit
def move(run, j, x):
    gs = run.opt.param_groups
    if len(gs)<2 or len(gs[0]['params'])<2: return split_group(run, j, x)
    gs[-1]['params'].append(gs[0]['params'].pop(j%len(gs[0]['params'])))
@edit
def reverse(run, j, x): run.opt.param_groups[0]['params'].reverse()
@edit
def leave_out(run, j, x):
    if len(run.opt.param_groups[0]['params'])>1: run.opt.param_groups[0]['params'].pop()
@edit
def clone_data(run, j, x): _p(run, j).data = _p(run, j).data.clone()
@edit
def turn_data(run, j, x):
    p = _p(run, j)
    if p.ndim==2 and p.size(0)==p.size(1): p.data = p.data.t()
@edit
def half_data(run, j, x):
    p = _p(run, j)
    p.data,p.grad = p.data*x,None
@edit
def retype_data(run, j, x):
    if x<.3: p = _p(run, j); p.grad = None; p.data = p.data.double()
@edit
def write_weights(run, j, x): _p(run, j).data.mul_(x)
@edit
def state_data(run, j, x):
    state,k = _tensor(run, j)
    if k: state[k].data = state[k].data.clone()*x
@edit
def state_new(run, j, x):
    state,k = _tensor(run, j)
    if k: state[k] = state[k]*x
@edit
def state_written(run, j, x):
    state,k = _tensor(run, j)
    if k: state[k].mul_(x)
@edit
def state_number(run, j, x): run.opt.state[_p(run, j)]['n0'] = j
@edit
def state_key(run, j, x): run.opt.state[_p(run, j)].pop(('m0','c0','n0')[j%3], None)
@edit
def state_odd(run, j, x): run.opt.state[_p(run, j)]['note'] = [None, 'a', np.float64(x), x, True, torch.tensor(x)][j%6]
@edit
def save_state(run, j, x):
    run.saved = {p:{k:v.clone() if isinstance(v, torch.Tensor) else v for k,v in s.items()}
                 for p,s in run.opt.state.items()}
@edit
def swap_state(run, j, x):
    if run.saved is None: save_state(run, j, x)
    run.opt.state,run.saved = defaultdict(dict, run.saved),None
@edit
def copy_state(run, j, x):
    run.opt.state = copy.copy(run.opt.state) if x<.5 else defaultdict(dict,
                                                                      {p:dict(s) for p,s in run.opt.state.items()})
@edit
def freeze(run, j, x): _p(run, j).requires_grad_(False)
@edit
def unfreeze(run, j, x):
    for p in run.ps: p.requires_grad_(True)
@edit
def load(run, j, x): run.opt.load_state_dict(run.opt.state_dict())
@edit
def deep_copy(run, j, x):
    run.opt,run.ps = copy.deepcopy((run.opt, run.ps))
    run.saved = None
    run.name_params()
@edit
def pickled(run, j, x):
    run.opt,run.ps = pickle.loads(pickle.dumps((run.opt, run.ps)))
    run.saved = None
    run.name_params()
@edit
def loop_once(run, j, x): run.opt.engine = 'loop'
@edit
def new_param(run, j, x):
    old = _p(run, j)
    new = nn.Parameter(old.detach().clone())
    run.ps[j%len(run.ps)] = new
    for g in run.opt.param_groups: g['params'][:] = [new if o is old else o for o in g['params']]
    run.name_params()
@edit
def cbs(run, j, x): run.opt.cbs = run.opt.cbs[::-1] if x<.5 or len(run.opt.cbs)<2 else run.opt.cbs[1:]
@edit
def nothing_to_step(run, j, x): run.opt.zero_grad(), run.opt.step()

def differ(a, b, tol, extra=0):
    "How `b` differs from `a`, or ''"
    if isinstance(a, torch.Tensor) or isinstance(b, torch.Tensor):
        if type(a) is not type(b): return f'{type(b).__name__} for {type(a).__name__}'
        if (a.dtype,a.shape,a.layout)!=(b.dtype,b.shape,b.layout):
            return f'{b.dtype} {tuple(b.shape)} for {a.dtype} {tuple(a.shape)}'
        a,b = (o.to_dense() if o.layout!=torch.strided else o for o in (a,b))
        if a.dtype==torch.bool: return '' if torch.equal(a, b) else 'another mask'
        x,y = a.double(),b.double()
        if torch.equal(x.isnan(), y.isnan()) and torch.equal(x.nan_to_num(), y.nan_to_num()): return ''
        if not tol:
            gap,size = (x-y).nan_to_num(),x.nan_to_num(posinf=0, neginf=0)
            return f'off by {gap.abs().max().item():.3g} of {size.abs().max().item():.3g}'
        if not torch.equal(x.isfinite(), y.isfinite()): return 'another place is not finite'
        x,y = x.nan_to_num(posinf=0, neginf=0),y.nan_to_num(posinf=0, neginf=0)
        d,top = (x-y).abs().max().item(),max(x.abs().max().item(), y.abs().max().item())
        return '' if d <= tol*top + extra else f'off by {d:.3g} of {top:.3g}'
    if type(a) is not type(b): return f'{type(b).__name__} {b!r} for {type(a).__name__} {a!r}'
    if isinstance(a, (list,tuple)):
        return next((o for o in (differ(x, y, tol, extra) for x,y in zip(a, b)) if o),
                    '' if len(a)==len(b) else 'another length')
    if a==b or isinstance(a, float) and (math.isnan(a) and math.isnan(b) or tol and abs(a-b) <= tol*max(abs(a), abs(b))
                                         + extra): return ''
    return f'{b!r} for {a!r}'

def compare(a, b, tol, extra=0):
    "Where what is seen in `b` differs from `a`, or ''"
    for what,xs,ys in zip(('weight','gradient'), a, b):
        for j,(x,y) in enumerate(zip(xs, ys)):
            if d := differ(x, y, tol, extra): return f'{what} {j}: {d}'
    for j,(s,t) in enumerate(zip(a[2], b[2])):
        if s.keys()!=t.keys(): return f'state {j}: keys {sorted(t)} for {sorted(s)}'
        for k in s:
            if d := differ(s[k], t[k], tol, extra): return f'state {j} {k!r}: {d}'
    return ''

def size_of(a, b):
    "The largest difference of finite numbers in two sights; inf if they differ otherwise"
    res = 0.
    for x,y in zip([*a[0], *a[1], *(v for s in a[2] for _,v in sorted(s.items()))],
                   [*b[0], *b[1], *(v for s in b[2] for _,v in sorted(s.items()))]):
        if isinstance(x, list) and len(x)==1: x,y = x[0],y[0]
        if isinstance(x, float): x,y = torch.tensor(x),torch.tensor(y)
        if not isinstance(x, torch.Tensor): continue
        if not isinstance(y, torch.Tensor) or x.shape!=y.shape: return math.inf
        x,y = (o.to_dense().double() for o in (x,y))
        if not torch.equal(x.isfinite(), y.isfinite()): return math.inf
        if x.numel(): res = max(res, (x-y).nan_to_num(posinf=0, neginf=0).abs().max().item())
    return res

def spread_of(script, i):
    "How far the loop itself comes to be from the loop by step `i`, when it starts an eps away"
    def at(jitter):
        run = Run(script, 'loop', jitter)
        for n in range(i+1): error,res = run.step(n)
        return error[0],res
    error,here = at(0)
    return max(math.inf if e!=error else size_of(here, o) for e,o in map(at, (1,2,3)))

def check(script, engine):
    "The first difference of an engine from the loop: (number of the step, what), or `None`"
    loop,other,tol = Run(script, 'loop'),Run(script, engine),script.promise(engine)
    for i in range(len(script.steps)):
        (e1,a),(e2,b) = loop.step(i),other.step(i)
        if e1[1]!=e2[1]: return i,f'an edit raises {e2[1]} for {e1[1]}'
        if e1[0]!=e2[0]: return i,f'raises {e2[0]} ({e2[2]}) for {e1[0]} ({e1[2]})'
        d = compare(a, b, tol)
        if d and tol: d = compare(a, b, tol, 8*spread_of(script, i))
        if not d: continue
        if not e1[0]: return i,d
        redo = Run(script, 'loop')
        for n in range(i): redo.step(n)
        if d2 := compare(redo.step(i, before=True)[1], b, tol):
            return i,f'half applied after {e1[0]} ({e1[2]}): {d}; before the step: {d2}'
        return None # it is as before the step, from where the two go different ways
    return None

def smaller(script):
    "Scripts that lack something of this one"
    def new(**kwargs):
        res = copy.copy(script)
        res.__dict__.update(kwargs)
        return res
    if len(script.steps)>1: yield new(steps=script.steps[:-1])
    for i in range(len(script.steps)-1): yield new(steps=script.steps[:i]+script.steps[i+1:])
    for j in range(len(script.params)-1, -1, -1):
        if len(script.params)>1:
            yield new(params=script.params[:j]+script.params[j+1:], steps=[(e,g[:j]+g[j+1:]) for e,g in script.steps])
    for i,(edits,grads) in enumerate(script.steps):
        for j in range(len(edits)):
            yield new(steps=[*script.steps[:i], (edits[:j]+edits[j+1:],grads), *script.steps[i+1:]])
        if set(grads)!={'c'}: yield new(steps=[*script.steps[:i], (edits,['c']*len(grads)), *script.steps[i+1:]])
    if any(kind!='c' for _,kind,_ in script.params): yield new(params=[(shape,'c',0) for shape,*_ in script.params])
    for j,(shape,kind,o) in enumerate(script.params):
        if shape!=(7,): yield new(params=[*script.params[:j], ((7,),kind,o), *script.params[j+1:]])
    if script.mixed: yield new(mixed=False)
    if script.cut: yield new(cut=0)
    for i in script.bodies:
        if len(script.bodies)>1: yield new(bodies={k:v for k,v in script.bodies.items() if k!=i})
    for i,body in script.bodies.items():
        for j in range(len(body)): yield new(bodies={**script.bodies, i:body[:j]+body[j+1:] or ['pass']})

def kind_of(what): return re.match(r'(raises \w+|half applied|an edit|)', what)[1]

def shrink(script, engine, seconds=8):
    "The smallest script that is found in some seconds to differ in such a way, and how it differs"
    best,end = (script,check(script, engine)),time.time()+seconds
    again = True
    while again:
        again = False
        for o in smaller(best[0]):
            if time.time()>end: return best
            try: found = check(o, engine)
            except Exception: continue # source that cannot be compiled
            if found and kind_of(found[1])==kind_of(best[1][1]):
                best,again = (o,found),True
                break
    return best

def plain_backend(name):
    "Let torch.compile be what `--backend` says"
    real = torch.compile
    if name=='none': torch.compile = lambda f=None, **kwargs: f if f is not None else (lambda f: f)
    elif name!='inductor':
        torch.compile = lambda f=None, **kwargs: real(f, backend=name, dynamic=kwargs.get('dynamic'),
                                                      fullgraph=kwargs.get('fullgraph', False))

def work(args, jobs, tell):
    "Check scripts, and tell what comes of each"
    shown = 0
    for seed,dtype in jobs:
        script = Script(seed, dtype, plain='compiled' in args.engines)
        if script.tags & args.without: continue
        if args.only is not None: print(script)
        for engine in args.engines:
            tell(seed, dtype, engine, sorted(script.tags), None)
            d = check(script, engine)
            if not d: continue
            tags = ' '.join(sorted(script.tags))
            print(f'--- {engine}, --only {seed} --dtypes {dtype}: step {d[0]}: {d[1]}   [{tags}]', flush=True)
            tell(seed, dtype, engine, sorted(script.tags), d)
            if shown<args.show:
                print('made small: step {1[0]}: {1[1]}\n{0}'.format(*shrink(script, engine, args.seconds)), flush=True)
            shown += 1

def guarded(args, jobs):
    "`work` in processes of its own, one after another: a crash of the interpreter is a difference too"
    res = []
    while jobs:
        ours,theirs = os.pipe()
        pid = os.fork()
        if not pid:
            def tell(*what): os.write(theirs, (json.dumps(what)+'\n').encode())
            try: work(args, jobs, tell)
            except BaseException: traceback.print_exc(), sys.stderr.flush(), os._exit(1)
            sys.stdout.flush(), os._exit(0)
        os.close(theirs)
        told = [json.loads(o) for o in open(ours)]
        res += told
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if not code or not told: break
        seed,dtype,engine,tags,known = told[-1]
        if not known: # or it has died while a script was made small
            res.append((seed,dtype,engine,tags,(0,f'the process dies of {code}' if code<0
                                                else 'the fuzzer fails, see above')))
            print(f'--- {engine}, --only {seed} --dtypes {dtype}: {res[-1][-1][1]}', flush=True)
        jobs,args.show = jobs[jobs.index((seed,dtype))+1:],max(0, args.show-1)
    return res

def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    def some(text): return [o for o in text.split(',') if o]
    a.add_argument('--n', type=int, default=1000, help='scripts, shared out among the dtypes')
    a.add_argument('--seed', type=int, default=0, help='seed of the first')
    a.add_argument('--only', type=int, help='run the script of this seed, and print it')
    a.add_argument('--engines', type=some, default=['batched'])
    a.add_argument('--dtypes', type=some, default='float32 float64 bfloat16 float16'.split())
    a.add_argument('--backend', default='inductor', help='of torch.compile: inductor, aot_eager, eager or none')
    a.add_argument('--without', type=lambda o: set(some(o)), default=set(),
                   help='leave out scripts with these tags, as closure,pyrandom')
    a.add_argument('--show', type=int, default=5, help='differences to print with their source, made small')
    a.add_argument('--seconds', type=float, default=8, help='in which to make one small')
    args,start = a.parse_args(),time.time()
    torch.set_num_threads(1), warnings.simplefilter('ignore'), plain_backend(args.backend)
    engines.FEW = 0 # batches of a few parameters too
    jobs = [(o,args.dtypes[o%len(args.dtypes)]) for o in range(args.seed, args.seed+args.n)]
    if args.only is not None: jobs = [(args.only,o) for o in args.dtypes]
    told = guarded(args, jobs)
    bad = [o for o in told if o[-1]]
    ran,differ = Counter(t for o in told if not o[-1] for t in o[3]),Counter(t for o in bad for t in o[3])
    if bad: print('tags of those that differ: ' + ', '.join(f'{k} {v} of {ran[k]}' for k,v in differ.most_common()))
    seeds = f"; seeds {' '.join(str(o[0]) for o in bad[:40])}" if bad else ''
    n_run,took = sum(not o[-1] for o in told),time.time()-start
    names = ', '.join(args.engines)
    print(f"{n_run} scripts run by {names}: {len(bad)} differences from the loop in {took:.0f} s{seeds}")
    return bool(bad)

if __name__=='__main__': sys.exit(main())
