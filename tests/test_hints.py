"""Habits from other libraries: each is answered with the line to write here; what is a callback's own is left to it."""
import re, warnings

import pytest

from optimloop.all import *
from optimloop.basics.course import *
from optimloop.learner import synth_learner
from optimloop.basics.hints import old_events, old_names, old_settings
from optimloop.callbacks import event, sort_cbs

def line(cbs=None, **kwargs):
    learn = synth_learner(cbs=cbs, **kwargs)
    learn.logger = lambda cells: None
    return learn

def cb(name, **kwargs): return type(name, (Callback,), kwargs)

# what older libraries call an event, written out once more, by someone who read their loops
meant = dict(
    before_fit='begin_fit on_train_begin on_train_start on_fit_start', after_fit='on_train_end on_fit_end',
        after_create='on_init_end',
    before_epoch='begin_epoch on_epoch_begin on_epoch_start', after_epoch='on_epoch_end on_train_epoch_end',
        before_train='begin_train on_train_epoch_start',
    before_batch='begin_batch on_batch_begin on_train_batch_begin on_train_batch_start on_test_batch_begin '
        'on_validation_batch_start on_step_begin',
    after_batch='on_batch_end on_train_batch_end on_test_batch_end on_validation_batch_end',
        after_pred='on_loss_begin after_predict after_preds',
    before_backward='on_backward_begin on_before_backward', after_backward='on_backward_end on_after_backward',
        after_loss='training_step validation_step',
    before_step='on_before_optimizer_step on_pre_optimizer_step', after_step='on_step_end on_optimizer_step',
        cleanup_fit='on_exception',
    before_validate='begin_validate on_test_begin on_validation_start on_validation_epoch_start',
        after_validate='on_test_end on_validation_end on_validation_epoch_end on_evaluate')

@pytest.mark.parametrize('new,old', [(new,old) for new,olds in meant.items() for old in olds.split()])
def test_events_of_others(new, old):
    with pytest.raises(ValueError, match=f"^Old.{old} looks like an event and is none: did you mean '{new}'\\?"):
        line(cb('Old', **{old: lambda self: None}))

def test_every_old_event_has_a_new_one():
    assert set(old_events.values()) <= set(vars(event)) and not set(old_events) & set(vars(event))

def test_events_of_one_phase_say_so():
    with pytest.raises(ValueError, match='With `run_valid = False`'):
        line(cb('Old', on_train_batch_end=lambda self: None))
    with pytest.raises(ValueError, match='With `run_train = False`'):
        line(cb('Old', on_test_batch_end=lambda self: None))

def test_names_that_are_no_event():
    for name in 'on_gpu on_save setup teardown reset plot state_dict forward _on_epoch_end'.split():
        line(cb('Mine', **{name: 3}))
    for name in 'setup teardown reset plot forward _on_epoch_end'.split(): line(cb('Mine', **{name: lambda self: None}))

@pytest.mark.parametrize('f,asked', [(lambda self, epoch, logs=None: 0, 'epoch'),
    (lambda self, trainer, module: 0, 'trainer, module'), (lambda self, *, epoch: 0, 'epoch')])
def test_handlers_that_want_arguments(f, asked):
    said = f'Keras.after_epoch asks for {asked}, and events are called without arguments: '
    said += 'write `def after_epoch\\(self\\):`'
    with pytest.raises(TypeError, match=said): line(cb('Keras', after_epoch=f))

def test_handlers_that_take_arguments_if_there_are_any():
    line(cb('Mine', after_epoch=lambda self, *args, **kwargs: None, after_fit=staticmethod(lambda a=1: None),
        before_fit=classmethod(lambda cls: None))).fit(1)

def test_events_that_are_no_method():
    with pytest.raises(TypeError, match='Mine.after_epoch is a str, and an event is a method'):
        line(cb('Mine', after_epoch='now'))

@pytest.mark.parametrize('res,write', [({'last_loss': 1}, 'self.learn.loss = …'),
    ({'stop_training': True}, 'raise CancelFitException'),
    ({'last_input': 1, 'last_target': 2}, 'self.learn.xb = (…,); self.learn.yb = (…,)'), (True, 'CancelBatchException'),
        ({}, 'self.learn.loss = …')])
def test_results(res, write):
    learn = line(cb('Returns', after_loss=lambda self: res))
    with pytest.warns(UserWarning) as told: learn.fit(2)
    assert len(told)==1 and 'Returns.after_loss returned a' in str(told[0].message) and write in str(told[0].message)

def test_a_generator_is_no_handler():
    def after_epoch(self): yield
    async def after_fit(self): pass
    with pytest.warns(UserWarning) as told: line(cb('Yields', after_epoch=after_epoch, after_fit=after_fit)).fit(1)
    assert [('did not run' in str(o.message)) for o in told][:2]==[True,True]

def test_what_ships_returns_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        learn = line([TerminateOnNaN, GradientClip(1.), GradientAccumulation(32)])
        learn.fit_one_cycle(2)
        learn.lr_find(show_plot=False)

@pytest.mark.parametrize('name', old_settings)
def test_old_settings(name):
    learn = line(cb('Stops', after_batch=lambda self: setattr(self.learn, name, True)))
    with pytest.raises(AttributeError, match=f'there is no `{name}` here: write `{re.escape(old_settings[name])}`'):
        learn.fit(1)
    with pytest.raises(AttributeError, match=f'there is no `{name}` here: write'): getattr(learn, name)

@pytest.mark.parametrize('name', [*old_names, *old_settings])
def test_old_names(name):
    learn = line(cb('Reads', after_batch=lambda self: getattr(self, name)))
    with pytest.raises(AttributeError, match=f'there is no `{name}` here: write'): learn.fit(1)
    assert not hasattr(learn, name) and name not in dir(learn)
    line(cb('Keeps', after_batch=lambda self: setattr(self, name, 1))).fit(1)    # what is the callback's own is its own
    mine = cb('Mine')()
    mine.name = name
    learn.add_cb(mine)                                                         # and so is its name
    assert getattr(learn, name) is mine and name in dir(learn) and learn.remove_cb(name) is mine and not hasattr(learn,
        name)

def test_old_names_lead_somewhere():
    learn = line()
    for new in 'dls training n_epoch n_iter iter train_iter loss xb y pred cbs loss_func opt_func opt'.split():
        assert hasattr(learn, new), new

@pytest.mark.parametrize('name', [o for o in old_names])
def test_a_learner_may_have_them(name):
    learn = line()
    setattr(learn, name, 3)
    assert getattr(learn, name)==3

def test_order_with_an_underscore():
    with pytest.raises(ValueError, match='Late._order is called `order` here: write `order = 5`'):
        line(cb('Late', _order=5))

def test_learn_is_set_by_adding():
    class Old(Callback):
        def __init__(self, learn): self.learn = learn
    with pytest.raises(AttributeError, match=r"leave `self.learn = …` out, and write `Learner\(…, cbs=Old\(…\)\)`"):
        Old(line())

def test_several_events_at_once():
    for o in ['after_batch','after_epoch'],{'after_batch'}:
        with pytest.raises(TypeError, match='one at a time: write `for o in'): line()(o)

@pytest.mark.parametrize('name,right', [('x','xb = (…,)'), ('y','yb = (…,)'), ('loss','loss = …'),
    ('model','model = …')])
def test_writing_past_the_learner(name, right):
    learn = line(cb('Writes', before_batch=lambda self: setattr(self, name, 1)))
    with pytest.raises(AttributeError, match=re.escape(f'To change the learner write `self.learn.{right}`')):
        learn.fit(1)

def test_writing_what_is_computed():
    learn = line(cb('Writes', before_batch=lambda self: setattr(self, 'smooth_loss', 1)))
    with pytest.raises(AttributeError, match='there is nothing to write: it is computed'): learn.fit(1)
    learn = line(cb('Writes', before_batch=lambda self: setattr(self, 'recorder', 1)))
    with pytest.raises(AttributeError, match='would hide the callback `recorder`'): learn.fit(1)

def test_old_names_of_the_recorder():
    learn = line()
    learn.fit_one_cycle(1)
    for name,new in (('lrs',"hps['lr']"), ('moms',"hps['mom']"), ('val_losses','table.valid_loss'),
        ('iters','epoch_ends'), ('metric_names','names'), ('plot_losses','plot_loss()')):
        with pytest.raises(AttributeError, match=re.escape(f'there is no `{name}` here: write `recorder.{new}`')):
            getattr(learn.recorder, name)
        assert not hasattr(learn.recorder, name) and name not in dir(learn.recorder)
        eval('learn.recorder.' + new)
    class Mine(Recorder):
        name = 'mine'
        def before_fit(self): self.lrs = []
        def after_step(self): self.lrs.append(self.opt.lr)
    learn = line(Mine)
    learn.fit(1)
    assert len(learn.mine.lrs)==8 and 'lrs' in dir(learn.mine)

@pytest.mark.parametrize('old,new', [('max_lr','lr_max'), ('lr','lr_max'), ('div_factor','div'),
    ('final_div','div_final'), ('callbacks','cbs')])
def test_old_arguments(old, new):
    with pytest.raises(TypeError, match=f'{old} is called {new} here: write {new}=0.1'):
        line().fit_one_cycle(1, **{old: .1})

def test_schedules_of_the_course():
    for old,new in (sched_cos,'SchedCos'), (sched_lin,'SchedLin'), (sched_exp,'SchedExp'), (sched_no,'SchedNo'):
        with pytest.raises(TypeError, match=re.escape(f'write {new}(0.1, 0.01)')): old(.1, .01)
        assert old(.1, .01, .5)==getattr(__import__('optimloop.all').all, new)(.1, .01)(.5)==old(start=.1, end=.01,
            pos=.5)
    with pytest.raises(TypeError, match=re.escape("write ParamScheduler({'lr': …})")):
        ParamScheduler('lr', SchedCos(.1, .01))
    with pytest.raises(TypeError, match='schedules are a dictionary'): ParamScheduler([('lr',SchedCos(.1, .01))])
    with pytest.raises(TypeError, match='schedules must be functions of the progress'): ParamScheduler({'lr': .1})

# the name of a callback

def test_a_value_under_its_own_name():
    class Temperature(Callback):
        def __init__(self): self.temperature = 5.
        def before_fit(self): assert self.temperature==5.
        def after_batch(self): self.temperature *= .9
    class Reads(Callback):
        order = 5
        def after_fit(self): self.seen = self.temperature
    learn = line([Temperature, Reads])
    learn.fit(1)
    assert learn.reads.seen is learn.temperature and learn.temperature.temperature < 5.
    cb = learn.remove_cb('temperature')
    assert cb.temperature < 5. and not hasattr(learn, 'temperature')
    learn.add_cb(cb)

def test_its_own_name_before_it_is_written():
    learn = line(cb('Temperature', after_batch=lambda self: self.temperature))
    with pytest.raises(AttributeError, match="Temperature has no attribute 'temperature', neither has its learner"):
        learn.fit(1)

def test_a_value_and_a_callback_of_one_name():
    class Keeps(Callback):
        temperature = 0
        def __init__(self): self.temperature = 1
        def after_batch(self): self.temperature += 1
    Temperature = cb('Temperature')
    with pytest.raises(AttributeError, match='Keeps.temperature would hide the callback `temperature`'):
        line([Temperature, Keeps])
    learn = line([Keeps, Temperature])     # added later: what was there is left alone
    learn.fit(1)
    assert learn.keeps.temperature==1+8+1 and learn.temperature is not learn.keeps.temperature

@pytest.mark.parametrize('name', 'X Y Loss Model Opt Pred Iter Fit Lr Dls Training Cbs Stage'.split())
def test_short_names(name):
    cls = cb(name)
    own = f"{name.lower()}_callback"
    said = f"would replace the learner's `{name.lower()}`: write `name = '{own}'` in its class"
    with pytest.raises(ValueError, match=said): line(cls)
    cls.name = name.lower() + '_callback'
    assert hasattr(line(cls), name.lower() + '_callback')

def test_a_second_one():
    Log = cb('Log')
    said = "two callbacks have the name 'log': Log and Log. Remove one, or give it another name: cb.name = 'log_2'"
    with pytest.raises(ValueError, match=said): line([Log, Log])
    second = Log()
    second.name = 'log_2'
    learn = line([Log, second])
    assert learn.log_2 is second and learn.log is not second and learn.remove_cb('log_2') is second
    with pytest.raises(AttributeError, match='can be given before it is added'): learn.log.name = 'late'
    with pytest.raises(ValueError, match='was added already'): learn.add_cb(learn.log)
    for o in ParamScheduler({'lr': SchedCos(.1, .01)}),EveryN(2, lambda learn: None),SaveModel():
        o.name = 'mine'
        assert o.name=='mine'

def test_a_name_of_the_class_and_one_of_the_instance():
    class Log(Callback): name = 'log_1'
    second = Log()
    second.name = 'log_2'
    learn = line([Log, second])
    assert learn.log_1.name=='log_1' and learn.log_2 is second
    class Fixed(Callback): name = property(lambda self: 'fixed')
    with pytest.raises(AttributeError, match='Fixed computes its name'): Fixed().name = 'other'

def test_all_or_none_moves():
    other,learn = line(cb('Log')),line()
    with pytest.raises(ValueError): learn.add_cbs([other.log, cb('Bad', on_epoch_end=lambda self: None)])
    assert other.log in other.cbs and other.log.learn is other and not hasattr(learn, 'log')

# their order

def by_definition(cbs):
    "The sort as it is defined: the first that waits for nobody goes, again and again"
    meant = lambda spec, cb: isinstance(cb, spec) if isinstance(spec, type) else spec in (type(cb).__name__, cb.name)
    tup = lambda o: o if isinstance(o, (tuple,list)) else (o,)
    before = lambda a, b: a is not b and (any(meant(o, b) for o in tup(a.run_before))
        or any(meant(o, a) for o in tup(a is not b and b.run_after)))
    left,res = sorted(cbs, key=lambda cb: cb.order),[]
    while left:
        free = next((o for o in left if not any(before(p, o) for p in left)), None)
        if free is None: return None
        left.remove(free)
        res.append(free)
    return res

def test_order_is_as_defined():
    import random
    rng,circles = random.Random(0),0
    for _ in range(300):
        n = rng.randint(1, 9)
        classes = []
        for i in range(n):
            wishes = lambda: [rng.choice([f'C{rng.randint(0, n)}', f'c{rng.randint(0, n)}', *classes[:1],
                *classes[-1:]]) for _ in range(rng.choice([0,0,0,1,2]))]
            base = rng.choice([Callback, *classes[:2]])
            classes.append(type(f'C{i}', (base,),
                dict(order=rng.choice([0,0,1,-1]), run_before=wishes(), run_after=wishes())))
        cbs = [c() for c in classes]
        expected = by_definition(cbs)
        if expected is not None: assert sort_cbs(cbs)==expected
        else:
            circles += 1
            with pytest.raises(ValueError, match='cannot be put in order: (C[0-9]) before .*\\1$'): sort_cbs(cbs)
    assert 20 < circles < 280

def test_a_circle_is_printed_when_it_is_added():
    learn = line(cb('Egg', run_after='Chicken'))
    with pytest.raises(ValueError, match='Chicken before Egg before Chicken|Egg before Chicken before Egg'):
        learn.add_cb(cb('Chicken', run_after='Egg'))
    assert not hasattr(learn, 'chicken')

def test_many_callbacks():
    "Work, not time: how often a name is asked for grows with the number of callbacks, and not with its cube"
    asked = 0
    class Counts(Callback):
        @property
        def name(self):
            nonlocal asked
            asked += 1
            return self.own
    def many(n):
        nonlocal asked
        cbs = [type(f'C{i}', (Counts,), dict(own=f'c{i}', run_after=f'C{i-1}'))() for i in range(n)]
        asked = 0
        learn = CallbackRunner(cbs)
        assert [o.own for o in sort_cbs(reversed(learn.cbs))]==[f'c{i}' for i in range(n)]
        return asked
    assert many(80) <= 2.2*many(40)

@pytest.mark.parametrize('name', ['leave_fit','leave_epoch','leave_step','leave_backward'])
def test_stages_that_have_no_such_event(name):
    cb = type('Mine', (Callback,), {name: lambda self: None})
    with pytest.raises(ValueError, match=f'Mine.{name} looks like an event and is none'): synth_learner(cbs=cb)
    assert synth_learner(cbs=type('Mine', (Callback,), dict(leave_home=lambda self: None)))
