"""The log in one SQLite file, for a platform that is one process.

Appends are group-committed: everything that was queued while the last commit ran is one transaction with
`synchronous=FULL`, and all records of one partition in it are one row, a batch compressed as a whole. A single
writer thread owns the only writing connection; readers use connections of their own and block nobody.
A second process on the same file refuses to start. Consumer groups live in this process, their offsets in the file.
"""

from kit.log.embedded.log import EmbeddedLog

__all__ = ["EmbeddedLog"]
