from kit.migrations import run
from services.members.tables import metadata

run(metadata)
