"""Data sets: readers of published formats, the store, and drawings of samples."""

from maniplvm.data.calibration import Calibration, read_calibration
from maniplvm.data.drawing.answers import (
    PREDICTION,
    TRUTH,
    Marks,
    Style,
    draw_answer,
    draw_answers,
    drawable,
    zoom_region,
)
from maniplvm.data.drawing.contact_sheet import Remark, contact_sheet
from maniplvm.data.importing import ImportReport, import_dataset, read_records
from maniplvm.data.record_errors import BadRecord, Cause
from maniplvm.data.scenes import limit_samples, scene_of, scenes_in_even_order
from maniplvm.data.statistics import Statistics, describe
from maniplvm.data.store import (
    Dataset,
    DatasetInfo,
    DatasetWriter,
    open_dataset,
    write_dataset,
)

__all__ = [
    "PREDICTION",
    "TRUTH",
    "BadRecord",
    "Calibration",
    "Cause",
    "Dataset",
    "DatasetInfo",
    "DatasetWriter",
    "ImportReport",
    "Marks",
    "Remark",
    "Statistics",
    "Style",
    "contact_sheet",
    "describe",
    "draw_answer",
    "draw_answers",
    "drawable",
    "import_dataset",
    "limit_samples",
    "open_dataset",
    "read_calibration",
    "read_records",
    "scene_of",
    "scenes_in_even_order",
    "write_dataset",
    "zoom_region",
]
