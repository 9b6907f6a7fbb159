"""A plug-in of ms-swift for tiny checkpoints, and a record of what the reward gets.

The templates of ms-swift hold the image token ids of the published Qwen-VL vocabulary. A tiny
checkpoint has another vocabulary. A run with a published model needs none of this.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from swift.rewards import orms
from swift.template.templates import qwen

from maniplvm.engines.ms_swift.reward import TOTAL

_PUBLISHED = 151655
_IDS = json.loads(os.environ["TINY_TOKENS"])
_RECORD = Path(os.environ["REWARD_RECORD"])


def _use_tiny_ids() -> None:
    for template in vars(qwen).values():
        if isinstance(template, type) and getattr(template, "image_token_id", None) == _PUBLISHED:
            template.image_token_id, template.video_token_id = _IDS["image"], _IDS["video"]


def _recorded(original: Any) -> Any:
    class Recorded(original):
        def __call__(self, completions, **columns):
            values = super().__call__(completions, **columns)
            content = {"texts": completions, "truths": columns["ground_truth"], "values": values}
            content["time"] = time.monotonic()
            with _RECORD.open("a", encoding="utf-8") as file:
                file.write(json.dumps(content) + "\n")
            return values

    return Recorded


_use_tiny_ids()
orms[TOTAL] = _recorded(orms[TOTAL])
