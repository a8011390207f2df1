from kit.migrations import run
from tests.kit.toy import METADATA

run(METADATA)
