from kit.migrations import run
from services.notify.tables import metadata

run(metadata)
