from kit.migrations import run
from services.rewards.tables import metadata

run(metadata)
