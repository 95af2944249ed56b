"""Entry point of `python -m serving.client`."""

import sys

from serving.client.cli.main import main

sys.exit(main())
