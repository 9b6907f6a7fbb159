"""Cameras and rendering of a simulated scene."""
