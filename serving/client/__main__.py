"""`python -m serving.client`."""

import sys

from serving.client.command import main

sys.exit(main())
