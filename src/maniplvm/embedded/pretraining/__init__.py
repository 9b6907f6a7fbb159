"""Teaching the embedded model from scratch: supervised, with auxiliary heads that do not ship."""

from maniplvm.embedded.pretraining.build import make_embedded
from maniplvm.embedded.pretraining.dataset import Lesson, Lessons
from maniplvm.embedded.pretraining.trainer import Schooling, school

__all__ = ["Lesson", "Lessons", "Schooling", "make_embedded", "school"]
