"""Segments: definitions in YAML, compiled to functions of a profile and the time."""

from processors.segments.compile import Segment, compile_segment, required_features
from processors.segments.definition import Definition
from processors.segments.loader import SegmentError, compile_documents

__all__ = [
    "Definition",
    "Segment",
    "SegmentError",
    "compile_documents",
    "compile_segment",
    "required_features",
]
