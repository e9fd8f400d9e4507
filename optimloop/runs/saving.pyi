"""What a Learner writes to a file, to go on with what it has learnt"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.

__all__ = []

def put_model(learn, weights, opt=None, strict=True, loss=None, cbs=...) -> None:
    """Load weights and what else there is of optimizer, loss function and callbacks; all or nothing"""
def tell_of_weights(learn, lacking, file, states=...) -> None:
    """Tell callbacks that other weights are there, and warn of averages in the file that nothing here will use"""
