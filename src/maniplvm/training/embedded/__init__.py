"""Teaching the embedded model from scratch: supervised, with auxiliary heads that do not ship."""

from maniplvm.training.embedded.lessons import Lesson, Lessons
from maniplvm.training.embedded.making import make_embedded
from maniplvm.training.embedded.schooling import Schooling, school

__all__ = ["Lesson", "Lessons", "Schooling", "make_embedded", "school"]
