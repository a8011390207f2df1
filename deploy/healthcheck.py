"""Exit 0 when the process of this container answers, 1 when not. Standard library only: it runs every few seconds.

It asks /healthz and not /readyz: while an engine is away the process is well, and starting it again helps nobody.
"""

import os
import sys
import urllib.error
import urllib.request

TIMEOUT = 4.0


def main() -> int:
    url = f"http://127.0.0.1:{os.environ.get('GUILDHALL_PORT', '8000')}/healthz"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as reply:
            return 0 if reply.status == 200 else 1
    except (urllib.error.URLError, OSError) as error:
        print(f"{url}: {error}", file=sys.stderr)  # noqa: T201 - the container engine keeps what is printed
        return 1


if __name__ == "__main__":
    sys.exit(main())
