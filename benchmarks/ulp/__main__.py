"""python -m benchmarks.ulp."""

import sys

from benchmarks.ulp.command import main

sys.exit(main())
