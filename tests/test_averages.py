"""What is kept of each batch, and what counts of it."""
import copy, pickle

import numpy as np, pytest, torch

from optimloop.basics.averages import History, LossLog, WeightedMean, different_names, smoothed

@pytest.mark.parametrize('change', [lambda o: o.append(1), lambda o: o.append(np.array([1.])),
    lambda o: o.__setitem__(0, 2.), lambda o: o.extend([1.]),
    lambda o: o.reverse(), lambda o: list.append(o, 3.)])
def test_a_history_that_is_changed_is_a_list(change):
    change(o := History([.5, .25]))
    assert type(o.read()) is list and o.read()==list(o)

def test_a_history_has_its_numbers_in_an_array():
    h,rows = History(),History([np.array([1.,2.])])
    h.append(.5); rows.append(np.array([3.,4.]))
    assert (h, h.read().tolist(), rows.read().tolist(), History(rows.read()).read().tolist())==([.5], [.5],
        [[1.,2.],[3.,4.]], [[1.,2.],[3.,4.]])
    assert (copy.deepcopy(h).read(), pickle.loads(pickle.dumps(h)).read(), History().read().tolist())==(h.read(),
        h.read(), [])

def log_of(events, beta=.9, look=()):
    "A log after these events: numbers are losses, texts are methods"
    log = LossLog(beta)
    for i,e in enumerate(events):
        if isinstance(e, str): getattr(log, e)()
        else: log.append(torch.tensor(float(e)), 1)
        if i in look: log.smooth_loss
    return log

stories = dict(plain=([1,'stepped',2,'stepped'], []), gathered=([1,2,3,'stepped'], []),
    dropped=([1,'stepped',2,3,'dropped',4,'stepped'], [1,2]),
    cancelled=([1,'stepped',2,'cancelled',3,'stepped'], [1]),
    cancelled_among_gathered=([1,2,'cancelled',3,'stepped'], [1]),
    cancelled_then_dropped=([1,2,'cancelled',3,'dropped'], [0,1,2]),
    all_cancelled=([1,'cancelled',2,'cancelled'], [0,1]), nothing=([], []))

@pytest.mark.parametrize('name', stories)
def test_what_counts(name):
    events,skipped = stories[name]
    losses = [o for o in events if not isinstance(o, str)]
    counted = [o for i,o in enumerate(losses) if i not in skipped]
    for look in (),range(len(events)):       # it does not matter when it is looked at
        log = log_of(events, look=look)
        assert (log.skipped, log.waiting, len(log))==(skipped, False, len(losses))
        assert log.smooth_loss==(pytest.approx(smoothed(counted, 10)[-1]) if counted else None)
        mean = log.epoch_mean()
        assert mean is None if not losses else mean!=mean if not counted else mean==pytest.approx(np.mean(counted))
        other = LossLog(.9)
        other.load_state(pickle.loads(pickle.dumps(log.state())))
        assert other.state()==log.state() and other.smooth_loss==log.smooth_loss

def test_batches_that_wait_are_not_in_the_smoothed_loss():
    log = log_of([1,'stepped',5,6])
    assert log.waiting and log.smooth_loss==pytest.approx(1) and log.skipped==[]

def test_an_epoch_is_averaged_alone():
    log = log_of([1,'stepped',3,'stepped'])
    assert log.epoch_mean()==2
    log.start_epoch()
    for loss,n in (5,1),(7,3),(100,0): log.append(torch.tensor(float(loss)), n)
    log.stepped()
    assert log.epoch_mean()==(5+3*7)/4 and log.skipped==[4]
    log.start_epoch()
    assert log.epoch_mean() is None and len(log)==5

def test_sums_are_added_up():
    log = LossLog()
    for o in 2.,3.: log.append(torch.tensor(o), None)
    log.stepped()
    assert log.epoch_mean()==5

def test_a_loss_is_one_number():
    for add in (LossLog().append, WeightedMean().add):
        add(torch.ones(1), 1)
        with pytest.raises(ValueError, match=r'a single number; it is a tensor of shape \(2,\)'): add(torch.ones(2), 1)

def test_names_are_told_apart(): assert different_names(['a','b','a','a','b'])==['a','b','a_2','a_3','b_2']
