"""Drawing of boxes, traces, regions and points on images."""
