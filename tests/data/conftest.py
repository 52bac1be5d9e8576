"""What the data sets say."""

import logging
from collections.abc import Iterator

import pytest


class Said(logging.Handler):
    """The records of one logger; other parts of the process, such as a web server of another test, may log as well."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def text(self) -> str:
        return '\n'.join(record.getMessage() for record in self.records)


@pytest.fixture
def log() -> Iterator[Said]:
    """What BasicSR's logger is given, whether a test before has set it up or not."""
    logger, said = logging.getLogger('basicsr'), Said()
    logger.addHandler(said)
    yield said
    logger.removeHandler(said)
