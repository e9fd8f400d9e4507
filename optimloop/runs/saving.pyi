"""What a Learner writes to a file and reads again"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.

__all__ = []
