"""Segments: definitions in YAML, compiled to functions of a profile and the time."""

from processors.segments.compile import Segment, compile_segment, required_features
from processors.segments.definition import Definition
from processors.segments.document import Problem
from processors.segments.loader import SegmentError, load_segments

__all__ = [
    "Definition",
    "Problem",
    "Segment",
    "SegmentError",
    "compile_segment",
    "load_segments",
    "required_features",
]
