"""`python -m server_demo`: serves until SIGTERM or Ctrl-C; a usage mistake is one line and status 2."""

from __future__ import annotations

import sys

from eas_grpc.errors import ConfigError
from server_demo import app


def main(args: list[str] | None = None) -> int:
    """The exit status of the demo server run with these arguments."""
    try:
        return app.serve(**app.parse(sys.argv[1:] if args is None else args))
    except ConfigError as error:
        print(f"server_demo: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
