"""The answer a text ends with: found whole, in one spelling, and compared by value."""

import ast
import re
import unicodedata
from collections.abc import Iterator
from fractions import Fraction

_MARK = re.compile(
    r"####"
    r"|\\(?:boxed|fbox)\s*(?=[{\d])"
    r"|\banswer\b[*_\s]*(?:(?:to|for)\b[^.\n:]{0,60}?\s)?"
    r"(?:is\b|are\b|would be\b|should be\b|equals\b|[:=])[*_:\s]*",
    re.IGNORECASE,
)
_DIGITS = r"(?:\d{1,3}(?:,\d{2,3})*,\d{3}(?!\d)|\d+)(?:\.\d+)?|\.\d+"
_ATOM = rf"(?:{_DIGITS})(?:[eE][+-]?\d+(?!\w))?(?:\^\(?[+-]?\d+(?:\.\d+)?\)?)?"
_NUMBER = re.compile(
    rf"(?<![\w.^)])[+-]?(?:\d+\s+\d+/\d+|{_ATOM}(?::\d+|\s?[*/]\s?(?:{_ATOM}))*)(?:\s?%)?",
)
_OPTION = re.compile(
    r"\(([A-Ja-j])\)|(?<![\w'])([A-HJ])(?![\w'’])(?!\s+[a-z])|(?<![\w'])([A-HJ])(?=\s+(?:because|since|as)\b)"
)
_REASON = re.compile(r"[,;:]?\s+(?:because|since|as|so|which|where)\b|[.;!?](?=\s|$)|\n")
_SAID_FIRST = re.compile(r"(yes|no|true|false)\b", re.IGNORECASE)
_ALGEBRA = re.compile(r"[a-zA-Z]\w*[+*/^(-]|[+*/^(-]\w*[a-zA-Z]|\d[xyzn]\b")
_UNIT = re.compile(r"\s+[a-zA-Z°][a-zA-Z°/^0-9\s.]*|[a-zA-Z°]{2,}[a-zA-Z\s.]*|°")
_SUPERSCRIPT = re.compile("[⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_MOST_DIGITS = 400  # of a power or of a number in scientific notation: larger ones stay as they are written
_LONGEST = 200  # characters that are computed

_LATEX = (
    (re.compile(r"\\(?:left|right|displaystyle|,|!|;|:|quad|qquad)(?![a-zA-Z])"), ""),
    (re.compile(r"\\[dtc]frac"), r"\\frac"),
    (re.compile(r"\\frac\s*(\d)\s*(\d)"), r"(\1)/(\2)"),
    (re.compile(r"\\(?:times|cdot)(?![a-zA-Z])"), "*"),
    (re.compile(r"\\div(?![a-zA-Z])"), "/"),
    (re.compile(r"\^\s*\{?\\circ\}?|\\(?:degree|deg)\b"), ""),
    (re.compile(r"\\(?=[%$#&_ ])"), ""),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\\pi\b"), "pi"),
)
_OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "^"}


def final_answer(text: str) -> str:
    """The answer a text ends with, in one spelling; empty without one.

    The last mark that something follows decides: of `\\boxed{...}` all that is inside, however nested, is
    the answer; behind `####`, `answer is` or `answer:` the first number or option letter is, else the words
    up to the reason given for them. Without a mark the last number is. A number keeps its sign, power,
    fraction and %, and loses thousands separators, units and trailing zeros; words are lower case.
    """
    for said, is_whole in _marked(text):
        found = _whole(said) if is_whole else _first(said)
        if found:
            return found
    numbers = _NUMBER.findall(_plain(text))
    return _spelled(numbers[-1]) if numbers else ""


def same_answer(one: str, other: str) -> bool:
    """Whether two final answers are the same: equal spelling, or equal value; 50% is 50, not 0.5."""
    if not one or not other:
        return False
    if one == other:
        return True
    first, second = value(one), value(other)
    return first is not None and first == second


def value(answer: str) -> Fraction | None:
    """The number that a final answer spells, exactly; None where it spells none."""
    plain = re.sub(r"(?<=\d),(?=\d{3})", "", answer.strip().removesuffix("%").strip())
    plain = re.sub(r"^([+-]?)(\d+)\s+(\d+/\d+)$", r"\1(\2+\3)", plain)
    if not plain or len(plain) > _LONGEST:
        return None
    try:
        return _computed(ast.parse(plain.replace("^", "**"), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError, RecursionError, MemoryError):
        return None


def _marked(text: str) -> Iterator[tuple[str, bool]]:
    """What follows each mark, the last mark first, and whether all of it is the answer."""
    for match in reversed(list(_MARK.finditer(text))):
        rest = text[match.end() :]
        if match.group().startswith("\\"):
            yield (_braced(rest) if rest.startswith("{") else re.match(r"\S*", rest).group()), True  # type: ignore[union-attr]
            continue
        inner = re.match(r"\s*(?:\$([^$\n]*[^$\s])\$(?!\d)|\\\((.+?)\\\)|\\\[(.+?)\\\])", rest)
        yield (next(filter(None, inner.groups())), True) if inner else (rest, False)


def _braced(text: str) -> str:
    """What the brace at the start encloses; all of it where the text ends before the brace does."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "{") - (letter == "}")
        if depth == 0:
            return text[1:place]
    return text[1:]


def _whole(said: str) -> str:
    plain = _plain(said).strip().strip("$").strip().rstrip(".")
    sides = plain.split("=")
    if len(sides) == 2 and re.fullmatch(r"\s*[a-zA-Z]\w?\s*", sides[0]):
        plain = sides[1].strip()
    option = re.fullmatch(r"\(?([A-Ja-j])\)?[.:]?", plain)
    if option:
        return option[1].lower()
    number = _NUMBER.match(plain.removeprefix("$"))
    if number:
        rest = plain.removeprefix("$")[number.end() :]
        if not rest.strip(" .") or _UNIT.fullmatch(rest):
            return _spelled(number.group())
    return _words(re.sub(r"\s+", "" if re.search(r"[\d=^+*/(]", plain) else " ", plain))


def _first(said: str) -> str:
    line = next((line for line in _plain(said).splitlines() if line.strip(" *_$")), "").strip()
    if _SAID_FIRST.match(line):
        return _SAID_FIRST.match(line)[1].lower()  # type: ignore[index]
    clause = _REASON.split(line, maxsplit=1)[0]
    if "=" in clause:
        clause = re.split(r",\s|\s+(?:or|and)\s", clause, maxsplit=1)[0].rpartition("=")[2]
    head = clause.strip(" $").split(" ")[0]
    if _ALGEBRA.search(head) and not _NUMBER.fullmatch(head) and not re.match(r"\(?[A-Ja-j]\)", head):
        return _words(head)
    number, option = _NUMBER.search(clause), _OPTION.search(clause)
    if option and (number is None or option.start() < number.start()):
        return next(filter(None, option.groups())).lower()
    return _spelled(number.group()) if number else _words(clause)


def _words(text: str) -> str:
    return text.strip().strip(".,:;!?$*_\"'` ").lower()


def _plain(text: str) -> str:
    """LaTeX, superscripts and other signs as one writes them on a keyboard: 3/4, 2^10, sqrt(2), 5*10^3."""
    text = _SUPERSCRIPT.sub(lambda found: "^" + unicodedata.normalize("NFKC", found.group()), text)
    text = re.sub(r"(?<=\d)(?=[¼-¾⅐-⅞])", " ", text)
    text = unicodedata.normalize("NFKC", text)
    text = text.translate(str.maketrans("−–⁄÷×·⋅", "--//***"))
    for pattern, plain in _LATEX:
        text = pattern.sub(plain, text)
    text = re.sub(r"(?<=\d)\*\*(?=\d)", "^", text).replace("**", "")
    text = _unbraced(text)
    text = re.sub(r"(?<=\d)\s*[xX]\s*(?=10\^)", "*", text)
    # (3)/(4) is 3/4, but (1+2)/(4) is not 1+2/4.
    return re.sub(r"(?<![\w)])\((\d+(?:\.\d+)?|[a-zA-Z])\)/\((\d+(?:\.\d+)?|[a-zA-Z])\)", r"\1/\2", text)


def _unbraced(text: str) -> str:
    """Fractions, roots, powers and texts without braces, from the inside out."""
    inner = r"\{([^{}]*)\}"
    rules = (
        (re.compile(r"\\(?:text|mathrm|textbf|mathbf|mbox|operatorname|boxed)\s*" + inner), r"\1"),
        (re.compile(r"\\frac\s*" + inner + r"\s*" + inner), r"(\1)/(\2)"),
        (re.compile(r"\\sqrt\s*" + inner), r"sqrt(\1)"),
        (re.compile(r"\^\s*" + inner), r"^(\1)"),
    )
    for _ in range(text.count("{")):
        before = text
        for pattern, plain in rules:
            text = pattern.sub(plain, text)
        if text == before:
            break
    return re.sub(r"\^\(([+-]?\w+)\)", r"^\1", text)


def _spelled(number: str) -> str:
    """A number without separators, blanks and trailing zeros; powers and fractions as they are."""
    number = re.sub(r"(?<=\d),(?=\d)", "", number.strip().removeprefix("+"))
    number = re.sub(r"\s*([*/%])\s*", r"\1", number)
    plain = number.removesuffix("%")
    if re.fullmatch(rf"[+-]?(?:{_DIGITS})(?:[eE][+-]?\d+)?", plain):
        exact = value(plain)
        if exact is not None:
            return _decimal(exact) + ("%" if number.endswith("%") else "")
    return number


def _decimal(exact: Fraction) -> str:
    """A fraction of a power of ten as a decimal number."""
    if exact.denominator == 1:
        return str(exact.numerator)
    places = 0
    while (exact * 10**places).denominator != 1:
        places += 1
    digits = str(abs(exact * 10**places).numerator).rjust(places + 1, "0")
    return ("-" if exact < 0 else "") + f"{digits[:-places]}.{digits[-places:]}"


def _computed(node: ast.expr) -> Fraction:
    """Exact arithmetic on numbers alone; ValueError for anything else, and for what is too large."""
    if (
        isinstance(node, ast.Constant)
        and isinstance(node.value, int | float)
        and not isinstance(node.value, bool)
    ):
        return _literal(node)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        inner = _computed(node.operand)
        return -inner if isinstance(node.op, ast.USub) else inner
    if not isinstance(node, ast.BinOp) or type(node.op) not in _OPERATORS:
        raise ValueError("not a number")
    left, right = _computed(node.left), _computed(node.right)
    match _OPERATORS[type(node.op)]:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
    size = max(abs(left.numerator), left.denominator)
    if right.denominator != 1 or abs(right) * len(str(size)) > _MOST_DIGITS:
        raise ValueError("not a power to compute")
    return left ** int(right)


def _literal(node: ast.Constant) -> Fraction:
    """As it was written: 0.1 is a tenth. Python reads 1e400 as infinity, which is refused."""
    return Fraction(repr(node.value))
