"""Boxes, traces, regions and coordinate frames. NumPy only."""

from maniplvm.geometry.boxes import corner_distance, giou, iou
from maniplvm.geometry.camera import Pinhole
from maniplvm.geometry.curves import (
    TraceDistances,
    discrete_frechet,
    endpoint_distance,
    hausdorff,
    resample,
    rmse,
    startpoint_distance,
    time_warping,
    trace_distances,
)
from maniplvm.geometry.frames import FRAMES, Frame, FrameSpec, SmartResize, View, resolve_frame
from maniplvm.geometry.regions import area_of_union, box_polygon, in_mask, in_polygon, in_polygons
from maniplvm.geometry.simplify import PATH_TOLERANCE, simplify

__all__ = [
    "FRAMES",
    "PATH_TOLERANCE",
    "Frame",
    "FrameSpec",
    "Pinhole",
    "SmartResize",
    "TraceDistances",
    "View",
    "area_of_union",
    "box_polygon",
    "corner_distance",
    "discrete_frechet",
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
    "time_warping",
    "trace_distances",
]
