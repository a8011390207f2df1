from kit.migrations import run
from services.events.tables import metadata

run(metadata)
