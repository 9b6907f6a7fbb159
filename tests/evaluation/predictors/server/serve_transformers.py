"""`transformers serve` with a folder and a port: the real server, in a process of its own.

Where torchvision is missing, transformers cannot build the video part of a processor that nobody
here needs; the processor then comes from `maniplvm.models`, and all else is theirs.
"""

import sys

from transformers.cli.serve import Serve
from transformers.cli.serving.model_manager import ModelManager
from transformers.utils import is_torchvision_available

from maniplvm.models import load_interface


def main(folder, port):
    if not is_torchvision_available():
        processor = load_interface(folder).processor
        ModelManager._load_processor = lambda *_, **__: processor
    Serve(force_model=folder, host="127.0.0.1", port=int(port), device="cpu", dtype="float32")


if __name__ == "__main__":
    main(*sys.argv[1:])
