import nb
n='01_callbacks.ipynb'
nb.sub(n,'b8b29b86',("    running = False # is `with_cleanup` at work?\n","    running = _cleaning = False # is `with_cleanup` at work? does it clean up?\n"))
nb.sub(n,'cd986137',("""    for cb,handler in handlers:
        try: handler()
""","""    for cb,handler in handlers:
        if cb._learn is None: continue # it was removed at this very event
        try: handler()
"""))
nb.setsrc(n,'7aca6c90','''#| exports
@patch
def with_cleanup(self:CallbackRunner,
    f, # Function without arguments
    undo=() # Functions without arguments to call at the very end; each may be called twice
):
    "Run `f`, then `cleanup_fit` of all callbacks in reverse order, whatever happens; raise the first error if there was any"
    todo = [*undo, _torch_modes()]
    if self.running: return _surely(f, todo) # the outer one cleans up
    todo.append(lambda: vars(self).update(running=False, _cleaning=False))
    def run():
        self.running = True
        f()
    _surely(run, todo, self._cleanups)

@patch
def _cleanups(self:CallbackRunner):
    self._cleaning = True
    return [(handler,f"raised by {_name(cb)}.cleanup_fit") for cb,handler in reversed(self._find_handlers('cleanup_fit'))]''')
ids=nb.insert(n,'15afc99d',[('markdown','''Ctrl-C can come at any instant, in the cleanup too, and a second one soon after the first. So what must be done at the end is a list: what is done is struck off, what an interrupt broke off is done once more, and only then the interrupt goes its way. `_surely` has the list worked off
twice because the first time could be interrupted in the instant in which it begins.'''),
('code','''#| exports
def _attempt(f, errors, note=None):
    "Call `f`, and put what it raises among `errors`; was it not interrupted?"
    try: f()
    except BaseException as e:
        if note: _add_note(e, note)
        errors.append(e)
        return isinstance(e, Exception)
    return True

def _work_off(todo, errors, tries=5):
    "Call all that is in `todo`; what is interrupted is called once more, and an interrupt between two calls waits for the end"
    try:
        while todo:
            todo[0][2] -= 1
            f,note,left = todo[0]
            if _attempt(f, errors, note) or left<=0: del todo[0]
    finally:
        if todo and tries>1: _work_off(todo, errors, tries-1)'''),
('code','''#| exports
def _surely(f, undo, more=lambda: ()):
    "Call `f`, then all that `more` returns (pairs of a function and a note), then all in `undo`, whatever happens; raise the first error"
    errors,todo = [],[[lambda: todo.__setitem__(slice(1, 1), [[*o, 2] for o in more()]), "raised before the cleanup", 2]]
    try:
        _attempt(f, errors)
        if errors: _explain(errors[0])
    finally:
        todo += [[o, "raised when things were put back", 2] for o in undo]
        try: _work_off(todo, errors)
        finally: _work_off(todo, errors)
    for e in errors[1:]: _add_note(errors[0], f"after it, in the cleanup: {e!r}, {e.__notes__[-1]}")
    try:
        if errors: raise errors[0]
    finally: errors.clear() # an error holds on to this frame, so the frame must not hold on to the error'''),
('code','''#| exports
_out_of_memory = MemoryError,torch.cuda.OutOfMemoryError # whoever keeps the error, as a notebook does, must not keep the batch with it

def _explain(error):
    if isinstance(error, _out_of_memory): traceback.clear_frames(error.__traceback__)
    if isinstance(error, tuple(_cancels.values())):
        _add_note(error, "it was raised outside the stage that it cancels, where there is nothing of that kind to skip")'''),
('markdown','''A run that is broken off may have left PyTorch itself in a mode that its callbacks or the validation had switched on: without gradients, or in half precision (autocast). These are noted before and put back. (How deeply autocasts are nested matters because what they keep of the weights is dropped only at depth 0.)'''),
('code','''#| exports
def _has_autocast(device_type):
    try: torch.is_autocast_enabled(device_type)
    except RuntimeError: return False
    return True

_autocast_devices = [o for o in ('cpu','cuda','mps','xpu') if _has_autocast(o)]

def _autocast_depth():
    try: return torch.autocast_increment_nesting()-1
    finally: torch.autocast_decrement_nesting()'''),
('code','''#| exports
def _torch_modes(devices=_autocast_devices):
    "A function that puts the modes of PyTorch back to what they are now"
    grad,cache,depth = torch.is_grad_enabled(),torch.is_autocast_cache_enabled(),_autocast_depth()
    autocasts = [(o,torch.is_autocast_enabled(o),torch.get_autocast_dtype(o)) for o in devices]
    def put_back():
        torch.set_grad_enabled(grad)
        torch.set_autocast_cache_enabled(cache)
        for o,enabled,dtype in autocasts:
            torch.set_autocast_enabled(o, enabled)
            torch.set_autocast_dtype(o, dtype)
        n = torch.autocast_increment_nesting()
        while n!=depth: n = (torch.autocast_decrement_nesting if n>depth else torch.autocast_increment_nesting)()
        if depth==0: torch.clear_autocast_cache()
    return put_back''')])
nb.setsrc(n,'c6ade009','''#| exports
@patch
def add_cb(self:CallbackRunner,
    cb # A callback, or a class of one
): # The runner
    "Add a callback; one that belongs to another learner moves here"
    if isinstance(cb, type) and issubclass(cb, Callback): cb = cb()
    if not isinstance(cb, Callback): raise TypeError(f"{cb!r} is no Callback: derive its class from Callback")
    self._check_cb(cb)
    if cb.learn is not None: cb.learn.remove_cb(cb)
    try:
        self.cbs.append(cb)
        self._attach(cb)
    except BaseException:
        self._detach(cb)
        raise
    return self

@patch
def _attach(self:CallbackRunner, cb):
    vars(self)[cb.name] = cb
    object.__setattr__(cb, '_learn', weakref.ref(self))
    self.forget_handlers()''')
nb.sub(n,'622cf32b',("    except Exception:\n","    except BaseException:\n"))
nb.setsrc(n,'59913498','''#| exports
@patch
def remove_cb(self:CallbackRunner,
    cb # The callback, its class or its name
): # The callback that was removed, or `None` if there was none
    "Remove a callback; one that is removed while the loop runs does its `cleanup_fit` now"
    found = next((o for o in self.cbs if o is cb or isinstance(cb, (type,str)) and _is_meant(cb, o)), None)
    if found is None: return
    try:
        if self.running and not self._cleaning: self._clean_up(found)
    finally: self._detach(found)
    return found

@patch
def remove_cbs(self:CallbackRunner,
    cbs # Callbacks, classes or names, one or a list of them
): # List of the callbacks that were removed
    "Remove callbacks"
    found = []
    _surely(lambda: None, [lambda cb=cb: found.append(self.remove_cb(cb)) for cb in _as_tuple(cbs)])
    return [o for o in found if o is not None]''')
nb.insert(n,'59913498',[('code','''#| exports
@patch
def _clean_up(self:CallbackRunner, cb):
    self._cleaning = True # so that a callback may remove itself in its `cleanup_fit`
    try:
        if cb.run and _own(cb, 'cleanup_fit') is not None: cb.cleanup_fit()
    finally: self._cleaning = False

@patch
def _detach(self:CallbackRunner, cb):
    if vars(self).get(cb.name) is cb: delattr(self, cb.name)
    object.__setattr__(cb, '_learn', None)
    self.forget_handlers()
    if cb in self.cbs: self.cbs.remove(cb) # last: what was broken off before can be done again''')])
nb.sub(n,'9d0cf956',("k not in ('_handlers','running')","k not in ('_handlers','running','_cleaning')"))
