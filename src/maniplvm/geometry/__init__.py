"""Boxes, traces, regions and coordinate frames. NumPy only."""

from maniplvm.geometry.boxes import corner_distance, giou, iou
from maniplvm.geometry.camera import PinholeCamera
from maniplvm.geometry.curves import (
    TraceDistances,
    discrete_frechet,
    dtw,
    endpoint_distance,
    hausdorff,
    resample,
    rmse,
    startpoint_distance,
    trace_distances,
)
from maniplvm.geometry.frames import (
    FRAMES,
    Frame,
    FrameSpec,
    SmartResize,
    View,
    declared_frame,
    resolve_frame,
)
from maniplvm.geometry.regions import area_of_union, box_polygon, in_mask, in_polygon, in_polygons
from maniplvm.geometry.simplify import PATH_TOLERANCE, simplify

__all__ = [
    "FRAMES",
    "PATH_TOLERANCE",
    "Frame",
    "FrameSpec",
    "PinholeCamera",
    "SmartResize",
    "TraceDistances",
    "View",
    "area_of_union",
    "box_polygon",
    "corner_distance",
    "declared_frame",
    "discrete_frechet",
    "dtw",
    "endpoint_distance",
    "giou",
    "hausdorff",
    "in_mask",
    "in_polygon",
    "in_polygons",
    "iou",
    "resample",
    "resolve_frame",
    "rmse",
    "simplify",
    "startpoint_distance",
    "trace_distances",
]
