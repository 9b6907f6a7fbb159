"""Settings of all tests."""

from hypothesis import settings

# A busy machine must not fail a property; tests that hold a time measure the processor's.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")
