"""One file a method: functions that return recipes, data only. This file is the list."""

from limbeck.recipes.agent import agent
from limbeck.recipes.akl import akl
from limbeck.recipes.alm import alm
from limbeck.recipes.batches.domains import Domains
from limbeck.recipes.batches.rollouts import Rollouts
from limbeck.recipes.batches.selection import Selection
from limbeck.recipes.batches.word_dropout import WordDropout
from limbeck.recipes.capacity_gap import capacity_gap
from limbeck.recipes.conversation import conversation
from limbeck.recipes.cost_effective import cost_effective
from limbeck.recipes.ctkd import ctkd
from limbeck.recipes.dataset_distillation import dataset_distillation
from limbeck.recipes.ddk import ddk
from limbeck.recipes.decoupled_kd import decoupled_kd
from limbeck.recipes.ded import ded
from limbeck.recipes.distillm import distillm
from limbeck.recipes.distillm2 import distillm2
from limbeck.recipes.document_understanding import document_understanding
from limbeck.recipes.domain import domain
from limbeck.recipes.dskd import dskd
from limbeck.recipes.dynamic_kd import dynamic_kd
from limbeck.recipes.feedback import feedback
from limbeck.recipes.fidelity_study import fidelity_study
from limbeck.recipes.frontier import frontier
from limbeck.recipes.gkd import gkd
from limbeck.recipes.impossible import impossible
from limbeck.recipes.judge import judge
from limbeck.recipes.min_edit import min_edit
from limbeck.recipes.minillm import minillm
from limbeck.recipes.minilm import minilm
from limbeck.recipes.model import Recipe
from limbeck.recipes.on_policy import on_policy
from limbeck.recipes.parties import TrainedParty
from limbeck.recipes.pkd import pkd
from limbeck.recipes.quickstart import quickstart
from limbeck.recipes.rag import rag
from limbeck.recipes.redi import redi
from limbeck.recipes.self_improve import self_improve
from limbeck.recipes.self_instruct import self_instruct
from limbeck.recipes.semantic_revision import semantic_revision
from limbeck.recipes.seq_kd import seq_kd
from limbeck.recipes.sft import sft
from limbeck.recipes.source_matters import source_matters
from limbeck.recipes.step_by_step import step_by_step
from limbeck.recipes.steps.build import Build
from limbeck.recipes.steps.evaluate import Evaluate
from limbeck.recipes.steps.generate import Generate
from limbeck.recipes.steps.load import Load
from limbeck.recipes.steps.train import Train
from limbeck.recipes.students.cut import CutStudent
from limbeck.recipes.students.fresh import FreshStudent
from limbeck.recipes.students.pruned import PrunedStudent
from limbeck.recipes.students.student import Student
from limbeck.recipes.students.taken import ModelStudent
from limbeck.recipes.taid import taid
from limbeck.recipes.teacher_hacking import teacher_hacking
from limbeck.recipes.teachers.ensemble import EnsembleTeacher
from limbeck.recipes.teachers.local import ModelTeacher
from limbeck.recipes.teachers.stored import StoredTeacher
from limbeck.recipes.teachers.teacher import Teacher
from limbeck.recipes.terms import Layers, Term, Trainable
from limbeck.recipes.uld import uld
from limbeck.recipes.universal_ner import universal_ner
from limbeck.recipes.validation import Validation
from limbeck.recipes.word_kd import word_kd

__all__ = [
    "Build",
    "CutStudent",
    "Domains",
    "EnsembleTeacher",
    "Evaluate",
    "FreshStudent",
    "Generate",
    "Layers",
    "Load",
    "ModelStudent",
    "ModelTeacher",
    "PrunedStudent",
    "Recipe",
    "Rollouts",
    "Selection",
    "StoredTeacher",
    "Student",
    "Teacher",
    "Term",
    "Train",
    "Trainable",
    "TrainedParty",
    "Validation",
    "WordDropout",
    "agent",
    "akl",
    "alm",
    "capacity_gap",
    "conversation",
    "cost_effective",
    "ctkd",
    "dataset_distillation",
    "ddk",
    "decoupled_kd",
    "ded",
    "distillm",
    "distillm2",
    "document_understanding",
    "domain",
    "dskd",
    "dynamic_kd",
    "feedback",
    "fidelity_study",
    "frontier",
    "gkd",
    "impossible",
    "judge",
    "min_edit",
    "minillm",
    "minilm",
    "on_policy",
    "pkd",
    "quickstart",
    "rag",
    "redi",
    "self_improve",
    "self_instruct",
    "semantic_revision",
    "seq_kd",
    "sft",
    "source_matters",
    "step_by_step",
    "taid",
    "teacher_hacking",
    "uld",
    "universal_ner",
    "word_kd",
]
