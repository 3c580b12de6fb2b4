"""A tenant without a host, as the stories have it."""

from tests.stories.conftest import hostless, running_hostless

__all__ = ["hostless", "running_hostless"]
