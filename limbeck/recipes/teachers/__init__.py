"""The forms of teacher that a recipe can name; one module each, listed here."""

from limbeck.recipes.teachers.endpoint import EndpointTeacher
from limbeck.recipes.teachers.ensemble import EnsembleTeacher, Member, Route
from limbeck.recipes.teachers.local import ModelTeacher
from limbeck.recipes.teachers.stored import StoredTeacher
from limbeck.recipes.teachers.teacher import Teacher

Teacher.forms |= {form.form: form for form in (ModelTeacher, StoredTeacher, EnsembleTeacher, EndpointTeacher)}

__all__ = [
    "EndpointTeacher",
    "EnsembleTeacher",
    "Member",
    "ModelTeacher",
    "Route",
    "StoredTeacher",
    "Teacher",
]
