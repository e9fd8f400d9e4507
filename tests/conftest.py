"The tests run on the CPU, where their numbers come from; a Learner would take a GPU that is there."
import os

os.environ.setdefault('OPTIMLOOP_DEVICE', 'cpu')
