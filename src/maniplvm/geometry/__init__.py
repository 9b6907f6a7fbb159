"""Boxes, traces and coordinate frames. NumPy only."""

from maniplvm.geometry.boxes import corner_distance, giou, iou
from maniplvm.geometry.curves import (
    TraceDistances,
    discrete_frechet,
    endpoint_distance,
    hausdorff,
    resample,
    rmse,
    trace_distances,
)
from maniplvm.geometry.frames import FRAMES, Frame, FrameSpec, SmartResize, View, resolve_frame

__all__ = [
    "FRAMES",
    "Frame",
    "FrameSpec",
    "SmartResize",
    "TraceDistances",
    "View",
    "corner_distance",
    "discrete_frechet",
    "endpoint_distance",
    "giou",
    "hausdorff",
    "iou",
    "resample",
    "resolve_frame",
    "rmse",
    "trace_distances",
]
