"""Which function a line of C++ or CUDA belongs to: a scan over braces, no parser.

Comments, strings, character literals and preprocessor lines are blanked first, so that a brace in
them counts for nothing. Each `{` is classified by the text before it: namespace, class, function,
or any other block.
"""

from __future__ import annotations

import re

from coursekit.core.errors import CourseError

_CONTROL = {"if", "for", "while", "switch", "catch", "return", "sizeof", "else", "do", "try"}
_DEVICE = re.compile(r"\b__(global|device)__\b")
_LITERAL = re.compile(
    r"""//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'""", re.DOTALL
)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)


def blank(text: str) -> str:
    """The text with comments, literals and directives turned to blanks, newlines kept."""

    def spaces(found: re.Match) -> str:
        return re.sub(r"[^\n]", " ", found[0])

    return _DIRECTIVE.sub(spaces, _LITERAL.sub(spaces, text))


def enclosing_functions(
    rows: list[str], spans: list[tuple[int, int]], path: str, numbers: list[int]
) -> list[tuple[str, bool]]:
    """(qualified name, is device code) of the function around each span of lines."""
    # A digit separator (1'000) is the one place where a quote opens no literal.
    text = blank(re.sub(r"(?<=[0-9a-fA-F])'(?=[0-9a-fA-F])", "_", "\n".join(rows)))
    stacks = _stacks(text)
    answers = []
    for start, end in spans:
        here = numbers[start]
        if not any(
            row.strip() and not row.lstrip().startswith("//") for row in rows[start + 1 : end]
        ):
            raise CourseError("the region holds no code", path, here)
        outer = stacks[start]
        inside = stacks[start : end + 1]
        if stacks[end] != outer or any(s[: len(outer)] != outer for s in inside):
            raise CourseError(
                "the region's braces do not balance; it must hold whole statements", path, here
            )
        kinds = [block[0] for block in outer]
        if "function" not in kinds:
            raise CourseError(
                "a region must stand inside a function; move the marks into its body", path, here
            )
        upto = kinds.index("function")
        names = [name for kind, name, _, _ in outer[:upto] if kind == "class" and name]
        answers.append(("::".join([*names, outer[upto][1]]), outer[upto][2]))
    return answers


def _stacks(text: str) -> list[tuple]:
    """For each line, the blocks open at its end; a block is (kind, name, on device, number)."""
    stack: list[tuple] = []
    stacks = []
    header = ""
    count = 0
    for row in text.split("\n"):
        for char in row:
            if char == "{":
                count += 1
                in_function = any(block[0] == "function" for block in stack)
                stack.append((*_classify(header, in_function), count))
                header = ""
            elif char == "}":
                if stack:
                    stack.pop()
                header = ""
            elif char == ";" and header.count("(") <= header.count(")"):
                header = ""
            else:
                header += char
        header += " "
        stacks.append(tuple(stack))
    return stacks


def _classify(header: str, in_function: bool) -> tuple[str, str, bool]:
    header = header.strip()
    if in_function:
        return "block", "", False
    plain = _strip_template(header)
    if re.match(r"(inline\s+)?namespace\b|extern\b\s*$", plain):
        return "namespace", "", False
    found = re.match(r"(?:class|struct|union)\s+(?:alignas\s*\([^)]*\)\s*)?(\w+)", plain)
    if found and "(" not in plain[found.end() :].split(":")[0]:
        return "class", found[1], False
    device = bool(_DEVICE.search(plain))
    plain = re.sub(
        r"\b(__launch_bounds__|__attribute__|alignas|noexcept|decltype)\s*(\((?:[^()]|\([^()]*\))*\))",
        " ",
        plain,
    )
    found = re.search(r"((?:\w+::)*(?:operator\s*[^\s(\w]+|operator\s*\(\)|~?\w+))\s*\(", plain)
    if found and found[1] not in _CONTROL and "=" not in plain[: found.start()]:
        if found[1].isupper() and (module := re.search(r"\(\s*(\w+)", plain)):
            return "function", module[1], False  # a macro such as PYBIND11_MODULE(name, m)
        return "function", found[1], device
    return "block", "", False


def _strip_template(header: str) -> str:
    """Without a leading `template <...>`, whose angle brackets may nest."""
    while found := re.match(r"template\s*<", header):
        depth, at = 1, found.end()
        while at < len(header) and depth:
            depth += {"<": 1, ">": -1}.get(header[at], 0)
            at += 1
        header = header[at:].strip()
    return header
