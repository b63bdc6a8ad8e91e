"""Retries with exponential backoff and jitter."""

import random
from dataclasses import dataclass
from typing import Optional

#: A longer ``Retry-After``, in seconds, ends the retries.
LONGEST_ASKED = 60.0


@dataclass(frozen=True)
class Retries:
    """The number of retries and their delays in seconds."""

    #: Maximum number of retries.
    tries: int = 12
    #: First delay; it doubles with each retry.
    first_wait: float = 0.2
    #: Maximum delay. Only a ``Retry-After`` of the server exceeds it.
    longest_wait: float = 5.0


class Backoff:
    def __init__(self, retries: Retries) -> None:
        self._retries = retries
        self._tried = 0

    def reset(self) -> None:
        """Resets the delay after a success."""
        self._tried = 0

    def wait_after(self, error: Exception, asked_for: Optional[float]) -> float:
        """Returns the delay in seconds. Raises ``error`` if no retry is left."""
        asked = asked_for or 0.0
        if self._tried >= self._retries.tries or asked > LONGEST_ASKED:
            raise error
        wait = min(self._retries.first_wait * 2.0**self._tried, self._retries.longest_wait)
        self._tried += 1
        # Half of the delay is random, so that clients that lost their connections together do not reconnect together.
        return max(wait * random.uniform(0.5, 1.0), asked)
