"""History into the platform: files of past activity, translated to CloudEvents and posted through the public API.

Reading and translating (`formats` and one module per format) are pure but for the file; `client` alone speaks HTTP.
"""

from services.events.importers.choices import Choices
from services.events.importers.client import ImportStopped
from services.events.importers.formats import FORMATS, detect, read, read_events
from services.events.importers.resume import ResumeMismatch
from services.events.importers.run import Report, run_import

__all__ = [
    "FORMATS",
    "Choices",
    "ImportStopped",
    "Report",
    "ResumeMismatch",
    "detect",
    "read",
    "read_events",
    "run_import",
]
