"""Scripts in processes of their own, each a copy of one process that has imported torch: the import takes longer than a script."""

from __future__ import annotations

import atexit
import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

# Reads one request a line, runs its script in a copy of itself, and answers with the exit code.
_SERVER = """
import json, os, runpy, sys, traceback
import torch._dynamo  # which torch.func.vjp imports

def run(script, path, arguments, out, err):
    for number, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY), number)
    sys.argv, sys.path[:1] = [script, *arguments], [os.path.dirname(script), *path]
    try:
        runpy.run_path(script, run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

for line in sys.stdin:
    asked = json.loads(line)
    copy = os.fork()
    if not copy:
        os.chdir(asked.pop("folder"))
        run(**asked)
    print(os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1]), flush=True)
"""


@functools.cache
def _server() -> subprocess.Popen[str]:
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", _SERVER]
    made = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(made.communicate)  # it ends with its input
    return made


def run(
    script: Path, *arguments: str, folder: Path, path: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a script in a folder. It can import what is installed, what stands beside it and what is in ``path``."""
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    with tempfile.TemporaryDirectory() as said:
        out, err = Path(said, "out"), Path(said, "err")
        for file in (out, err):
            file.touch()
        asked = {"script": str(script), "path": list(path), "arguments": arguments, "folder": str(folder)}
        server.stdin.write(json.dumps({**asked, "out": str(out), "err": str(err)}) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        return subprocess.CompletedProcess(str(script), code, out.read_text(), err.read_text())
