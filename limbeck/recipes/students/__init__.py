"""The forms of student that a recipe can name; one module each, listed here."""

from limbeck.recipes.students.cut import CutStudent
from limbeck.recipes.students.fresh import FreshStudent
from limbeck.recipes.students.pruned import PrunedStudent
from limbeck.recipes.students.student import BYTES, Student
from limbeck.recipes.students.taken import ModelStudent

Student.forms |= {form.form: form for form in (ModelStudent, CutStudent, FreshStudent, PrunedStudent)}

__all__ = ["BYTES", "CutStudent", "FreshStudent", "ModelStudent", "PrunedStudent", "Student"]
