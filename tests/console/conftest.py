"""A browser to look at the platform with."""

from tests.support.browser import browser

__all__ = ["browser"]
