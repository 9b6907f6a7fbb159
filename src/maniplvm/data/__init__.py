"""Data sets: readers of published formats, the store, and drawings of samples."""

from maniplvm.data.calibration import Calibration, read_calibration
from maniplvm.data.drawing.answers import (
    PREDICTION_STYLE,
    TARGET_STYLE,
    Points,
    Style,
    as_answer,
    draw_answer,
    draw_answers,
    zoom_region,
)
from maniplvm.data.drawing.contact_sheet import Annotation, contact_sheet
from maniplvm.data.drawing.saving import save_image
from maniplvm.data.importing import ImportReport, import_dataset, read_records
from maniplvm.data.record_errors import BadRecord, ErrorCode
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
    "PREDICTION_STYLE",
    "TARGET_STYLE",
    "Annotation",
    "BadRecord",
    "Calibration",
    "Dataset",
    "DatasetInfo",
    "DatasetWriter",
    "ErrorCode",
    "ImportReport",
    "Points",
    "Statistics",
    "Style",
    "as_answer",
    "contact_sheet",
    "describe",
    "draw_answer",
    "draw_answers",
    "import_dataset",
    "limit_samples",
    "open_dataset",
    "read_calibration",
    "read_records",
    "save_image",
    "scene_of",
    "scenes_in_even_order",
    "write_dataset",
    "zoom_region",
]
