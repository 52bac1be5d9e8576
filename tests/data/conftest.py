"""What the data sets say."""

import logging

import pytest


@pytest.fixture
def log(caplog):
    """What BasicSR's logger is given, whether a test before has set it up or not."""
    logger = logging.getLogger('basicsr')
    propagates, logger.propagate = logger.propagate, True
    yield caplog
    logger.propagate = propagates
