"""Several teachers in the place of one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_serializer, model_validator

from limbeck.core.config import Config
from limbeck.core.errors import Problem
from limbeck.recipes.references import Names, Unfolded
from limbeck.recipes.teachers.capabilities import DISTRIBUTION, NEW_ROWS
from limbeck.recipes.teachers.teacher import Teacher


class Route(Config):
    """Who answers which row: the member that a `column` names, or the one to which it is `likelihood`iest."""

    column: Annotated[str, Names("column")] = Field(
        default="", description="of the rows; none: by likelihood"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: Any) -> Any:
        if value == "likelihood":
            return {}
        if isinstance(value, dict) and value.get("column"):
            return value
        raise ValueError(f"must be likelihood or {{column: NAME}}, got {value!r}.")

    @model_serializer
    def _short(self) -> Any:
        return {"column": self.column} if self.column else "likelihood"


class Member(Config):
    """One teacher of an ensemble, with its share and its task; plain data has the teacher's keys beside."""

    teacher: Annotated[Teacher, Unfolded()]
    name: str = Field(default="", description="what a route's column calls it; none: the model or the store")
    weight: float = Field(default=1.0, ge=0, allow_inf_nan=False, description="normalised over who answers")
    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False, description="divides its logits")
    on: str | None = Field(default=None, description="task whose units alone it answers; none: all")

    @model_validator(mode="before")
    @classmethod
    def _from_keys_side_by_side(cls, value: Any) -> Any:
        if isinstance(value, dict) and "teacher" not in value:
            own = {name: item for name, item in value.items() if name in cls.model_fields}
            rest = {name: item for name, item in value.items() if name not in own}
            value = {"teacher": Teacher.model_validate(rest), **own}
        elif isinstance(value, str | Teacher):
            value = {"teacher": Teacher.model_validate(value)}
        if isinstance(value, dict) and isinstance(value["teacher"], EnsembleTeacher):
            raise ValueError("must be a single teacher, got another ensemble. Put its members here.")
        return value

    @property
    def called(self) -> str:
        """Its name, in routes and reports."""
        return self.name or self.teacher.called

    @model_serializer
    def _short(self) -> dict[str, Any]:
        fields = type(self).model_fields
        own = {name: getattr(self, name) for name in fields if name != "teacher"}
        given = {name: value for name, value in own.items() if value != fields[name].default}
        return {**self.teacher.model_dump(mode="json"), **given}


class EnsembleTeacher(Teacher):
    """Several teachers, of which the distributions or the losses are averaged, or one answers each row."""

    form: ClassVar[str] = "ensemble"
    example: ClassVar[str] = "{ensemble: [A, B]}"

    ensemble: tuple[Member, ...] = Field(description="several teachers in the place of one")
    mean: Literal["probabilities", "logits", "losses"] = Field(
        default="probabilities", description="what is averaged over an ensemble"
    )
    route: Route | None = Field(default=None, description="sends each row to one member of an ensemble")

    @property
    def said(self) -> str:
        """What it is, in messages."""
        return f"an ensemble of {len(self.ensemble)}"

    @property
    def called(self) -> str:
        """Its members' names."""
        return ", ".join(member.called for member in self.ensemble)

    @property
    def word(self) -> str:
        """None: it names several."""
        return ""

    @property
    def members(self) -> dict[str, Teacher]:
        """Each teacher, by its path."""
        return {f"ensemble.{place}.": one.teacher for place, one in enumerate(self.ensemble)}

    @property
    def models(self) -> dict[str, str]:
        """Those of all members."""
        return {f"{at}{path}": word for at, one in self.members.items() for path, word in one.models.items()}

    @property
    def stores(self) -> dict[str, str]:
        """Those of all members."""
        return {f"{at}{path}": word for at, one in self.members.items() for path, word in one.stores.items()}

    def with_others(self, others: Mapping[str, Teacher]) -> Teacher:
        """Itself with other members; they are called as before."""
        members = []
        for member in self.ensemble:
            teacher = member.teacher.with_others(others)
            if teacher != member.teacher:
                member = member.model_copy(update={"teacher": teacher, "name": member.called})
            members.append(member)
        return self.model_copy(update={"ensemble": tuple(members)})

    def gives(self) -> frozenset[str]:
        """The mean of distributions, of rows that all members know."""
        shared = frozenset.intersection(*(member.teacher.gives() for member in self.ensemble))
        return shared & {DISTRIBUTION, NEW_ROWS}

    def group_problems(self, groups: Sequence[str]) -> Iterator[Problem]:
        """Members that are `on` no group of the rows."""
        for place, member in enumerate(self.ensemble):
            if member.on is not None and member.on not in groups:
                allowed = f"must be one of {', '.join(groups)}" if groups else "needs rows of several tasks"
                yield Problem(
                    f"teacher.ensemble.{place}.on", f"{allowed}, got '{member.on}'. Leave it out for all."
                )

    def silent_on(self, groups: Sequence[str]) -> list[str]:
        """Groups that no member with a weight answers."""
        answered = {member.on for member in self.ensemble if member.weight}
        return [] if None in answered else [name for name in groups if name not in answered]

    def problems(self) -> Iterator[str]:
        """Weights and routes that contradict each other."""
        if any(getattr(member.teacher, "noise", 0) for member in self.ensemble):
            yield "noise must be 0 in an ensemble."
        if self.view != "own":
            yield "view goes with each member, for example {ensemble: [{model: A, view: student}, B]}."
        if not any(member.weight for member in self.ensemble):
            yield "ensemble must have a member with a weight above 0."
        if self.route is None:
            return
        names = [member.called for member in self.ensemble]
        if len(set(names)) < len(names):
            yield f"members must have different names with a route, got {', '.join(names)}. Set name."
        if any(member.weight != 1 or member.on is not None for member in self.ensemble):
            yield "weight and on must be left out with a route, which chooses one member for each row."
