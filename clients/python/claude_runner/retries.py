"""Waits between tries: doubling, with jitter, up to a bound."""

import random
from dataclasses import dataclass
from typing import Optional

#: A server that asks for more than this is not waited for. Seconds.
LONGEST_ASKED = 60.0


@dataclass(frozen=True)
class Retries:
    """How often and after how many seconds something is tried again."""

    #: Tries without success between them, before the error is raised.
    tries: int = 12
    first_wait: float = 0.2
    #: No wait is longer, except where the server asks for it.
    longest_wait: float = 5.0


class Backoff:
    def __init__(self, retries: Retries) -> None:
        self._retries = retries
        self._tried = 0

    def reset(self) -> None:
        """Something succeeded: what comes next begins anew."""
        self._tried = 0

    def wait_after(self, error: Exception, asked_for: Optional[float]) -> float:
        """How many seconds to wait; raises the error where it was tried often enough."""
        asked = asked_for or 0.0
        if self._tried >= self._retries.tries or asked > LONGEST_ASKED:
            raise error
        wait = min(self._retries.first_wait * 2.0**self._tried, self._retries.longest_wait)
        self._tried += 1
        # Half of it is chance, so that many clients that were cut at once do not come back at once.
        return max(wait * random.uniform(0.5, 1.0), asked)
