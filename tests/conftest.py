"The tests run on the CPU, where their numbers come from; a Learner would take a GPU that is there."
import os, sys
from pathlib import Path

os.environ.setdefault('OPTIMLOOP_DEVICE', 'cpu')
sys.path.append(str(Path(__file__).resolve().parent.parent/'.ci')) # the checks of the project are tested too

def pytest_configure(config): config.addinivalue_line('markers', 'cuda: needs GPUs')
