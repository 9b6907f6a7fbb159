"""Labels: demonstrations, affordance boxes, traces and instructions."""
