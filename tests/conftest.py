"""Fixtures and settings that all tests share."""

import os

import hypothesis

# No deadline: a busy machine is no bug. The same examples on every run, so that a failure can be looked at again.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.load_profile("steady")

# No test may reach for the network, whatever a library would like to look up.
os.environ["HF_HUB_OFFLINE"] = "1"
