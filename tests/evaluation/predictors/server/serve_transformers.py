"""Run `transformers serve` with a folder and a port.

Without torchvision, transformers cannot build the video processor, which these tests do not need. The
processor then comes from `maniplvm.models`; everything else is that of transformers.
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
