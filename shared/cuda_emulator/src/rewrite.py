"""Turn a CUDA file into C++ for the emulated device.

Usage: python rewrite.py IN.cu OUT.cc

Three constructs of CUDA are not C++ and are replaced, everything else is left to the stand-in
cuda_runtime.h beside this file:

    K<<<grid, block>>>(a, b);          a call of cuda_emulation::Launcher
    __shared__ float tile[16][16];     a reference to the block's copy
    extern __shared__ float all[];     a pointer to the block's dynamic shared memory

Every line keeps its number, so compilers and the emulator speak of the student's own file.
"""

import re
import sys
from pathlib import Path

NAME = r"[A-Za-z_]\w*"
BEFORE_SHARED = r"(?:(?:extern|static|volatile|const)\s+|(?:alignas|__align__)\s*\([^()]*\)\s*)*"


class RewriteError(Exception):
    """The file holds CUDA that cannot be understood; the message names the line."""


def blank(text):
    """Return text of the same length with comments and literals replaced by spaces."""
    pattern = re.compile(
        r"//(?:[^\n\\]|\\.|\\\n)*"
        r"|/\*.*?\*/"
        r'|R"(?P<tag>[^()\\\s]{0,16})\(.*?\)(?P=tag)"'
        r'|"(?:[^"\\\n]|\\.)*"'
        r"|(?<![0-9A-Fa-f])'(?:[^'\\\n]|\\.)+'",
        re.DOTALL,
    )
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def matching(text, start, closing):
    """Return the position of the bracket that closes the one at text[start]."""
    depth = 0
    for i in range(start, len(text)):
        if text[i] in "([{":
            depth += 1
        elif text[i] in ")]}":
            depth -= 1
            if depth == 0:
                if text[i] != closing:
                    break
                return i
    raise RewriteError(f"line {line_of(text, start)}: the '{text[start]}' is never closed")


def kernel_begin(text, end):
    """Return where the kernel's name (with its template arguments) before text[end] begins."""
    i = end
    while text[i - 1].isspace():
        i -= 1
    if text[i - 1] == ">":
        depth = 0
        while i > 0:
            i -= 1
            depth += {">": 1, "<": -1}.get(text[i], 0)
            if depth == 0:
                break
        while text[i - 1].isspace():
            i -= 1
    name = re.search(rf"(?:::)?\s*{NAME}(?:\s*::\s*(?:template\s+)?{NAME})*$", text[:i])
    if name is None:
        raise RewriteError(f"line {line_of(text, end)}: no kernel name before '<<<'")
    return name.start() + len(name.group()) - len(name.group().lstrip())


def configuration_end(text, start):
    """Return the position of the '>>>' that ends the configuration beginning at start."""
    i = start
    while i < len(text):
        if text.startswith(">>>", i):
            return i
        if text[i] in "([{":
            i = matching(text, i, {"(": ")", "[": "]", "{": "}"}[text[i]])
        elif text[i] in ";}":
            break
        i += 1
    raise RewriteError(f"line {line_of(text, start)}: '<<<' without '>>>'")


def pieces(text):
    """Split at the commas that stand in no bracket."""
    depth, found = 0, [""]
    for character in text:
        depth += {"(": 1, "[": 1, "{": 1, "<": 1}.get(character, 0)
        depth -= {")": 1, "]": 1, "}": 1, ">": 1}.get(character, 0)
        if character == "," and depth <= 0:
            found.append("")
        else:
            found[-1] += character
    return [" ".join(piece.split()) for piece in found]


def parameters(blanked, kernel):
    """The names of a kernel's parameters; None if it is not in this file."""
    name = kernel.split("<")[0].split("::")[-1].strip()
    head = re.search(rf"__global__[^;{{}}()]*?\b{re.escape(name)}\s*\(", blanked)
    if head is None:
        return None
    inside = blanked[head.end() : matching(blanked, head.end() - 1, ")")]
    return [re.split(r"[^\w]", re.sub(r"\[.*", "", piece))[-1] for piece in pieces(inside)]


def written(arguments):
    """A launch's arguments as they are written there."""
    return pieces(arguments.replace("->", "."))


def rewrite_launch(text, blanked, start):
    """Return (begin, end, replacement) for the launch whose '<<<' is at start."""
    begin = kernel_begin(blanked, start)
    close = configuration_end(blanked, start + 3)
    opening = close + 3
    while opening < len(blanked) and blanked[opening].isspace():
        opening += 1
    if blanked[opening : opening + 1] != "(":
        raise RewriteError(f"line {line_of(text, close)}: '>>>' is not followed by the arguments")
    end = matching(blanked, opening, ")") + 1
    kernel = " ".join(blanked[begin:start].split())
    configuration, arguments = text[start + 3 : close], text[opening + 1 : end - 1]
    empty = not blanked[opening + 1 : end - 1].strip()
    names = "\\n".join(parameters(blanked, kernel) or written(blanked[opening + 1 : end - 1]))
    replacement = (
        f'::cuda_emulation::Launcher{{"{kernel}", {{__FILE__, __LINE__}}, '
        f'::cuda_emulation::Config({configuration}), __PRETTY_FUNCTION__, "{names}"}}'
        f"([&](const auto&... needle_arguments) {{ {kernel}(needle_arguments...); }}"
        f"{'' if empty else ', '}{arguments})"
    )
    return begin, end, replacement


def in_function(blanked, position):
    """Whether a position lies inside a function, not at namespace scope."""
    opened = []
    for match in re.finditer(r"[{}]", blanked[:position]):
        if match.group() == "}":
            if opened:
                opened.pop()
            continue
        head = re.split(r"[;{}]", blanked[: match.start()])[-1]
        opened.append(re.search(r"\bnamespace\b|\bextern\s*$", head) is None)
    return any(opened)


def split_declarators(declaration):
    """Split 'float a[2], b' into ('float', [('a', '[2]'), ('b', '')])."""
    parts, depth, last = [], 0, 0
    for i, character in enumerate(declaration):
        depth += {"(": 1, "[": 1, "{": 1, "<": 1}.get(character, 0)
        depth -= {")": 1, "]": 1, "}": 1, ">": 1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append(declaration[last:i])
            last = i + 1
    parts.append(declaration[last:])
    head = re.match(
        rf"(?P<type>.*?[\s>*])(?P<name>{NAME})\s*(?P<size>(?:\[.*\])?)\s*$", parts[0], re.S
    )
    if head is None:
        return None
    names = [(head["name"], head["size"])]
    for part in parts[1:]:
        more = re.match(rf"\s*(?P<name>{NAME})\s*(?P<size>(?:\[.*\])?)\s*$", part, re.S)
        if more is None:
            return None
        names.append((more["name"], more["size"]))
    return " ".join(head["type"].split()), names


def rewrite_shared(text, blanked, match):
    """Return (begin, end, replacement) for one __shared__ declaration."""
    end = blanked.find(";", match.end())
    if end < 0:
        raise RewriteError(
            f"line {line_of(text, match.start())}: a __shared__ variable without ';'"
        )
    declaration = re.sub(
        r"(?:alignas|__align__)\s*\([^()]*\)|\bstatic\b", " ", blanked[match.end() : end]
    )
    external = "extern" in match.group() or re.search(r"\bextern\b", declaration) is not None
    declaration = re.sub(r"\bextern\b", " ", declaration)
    volatile = "volatile " if "volatile" in match.group() else ""
    parsed = split_declarators(declaration)
    if parsed is None:
        raise RewriteError(
            f"line {line_of(text, match.start())}: this __shared__ declaration is not understood. Write it "
            "as `__shared__ type name[size];`, without an initial value"
        )
    element, names = volatile + parsed[0], parsed[1]
    pieces = []
    for name, size in names:
        kind = f"needle_shared_{name}"
        if not external:
            pieces.append(
                f"typedef {element} {kind}{size}; {kind}& {name} = "
                f'*::cuda_emulation::shared_variable<{kind}>("{name}", __LINE__)'
            )
        elif in_function(blanked, match.start()):
            pieces.append(
                f"{element}* const {name} = ::cuda_emulation::dynamic_shared<{element}>()"
            )
        else:
            pieces.append(f"static const ::cuda_emulation::DynamicShared<{element}> {name}")
    return match.start(), end, "; ".join(pieces)


def check_calls(blanked):
    """Raise RewriteError where a kernel is called like a function: CUDA's compiler refuses it, and
    here it would run on the host, once."""
    for name in set(re.findall(r"__global__\s[^;{}()]*?\b([A-Za-z]\w*)\s*\(", blanked)):
        host = rf"\b(?!return\b)\w+[\s*&]+{name}\s*\([^;{{}}]*\{{"
        if re.search(host, without_kernels(blanked)):
            continue  # a function of the host has this name, too
        call = re.search(rf"[;{{}})]\s*{name}\s*(?:<[^;(){{}}<>]*>)?\s*\(", blanked)
        if call is not None:
            line = line_of(blanked, call.end() - 1)
            raise RewriteError(
                f"line {line}: the kernel {name} is called like a function; launch it: "
                f"{name}<<<grid, block>>>(...)"
            )


def without_kernels(blanked):
    """The text without the heads of its kernels."""
    return re.sub(r"__global__\s[^;{}()]*\(", "(", blanked)


def rewrite(text, path):
    """Return the C++ of a CUDA file. `path` is what messages and debuggers shall call it."""
    blanked = blank(text)
    check_calls(blanked)
    edits = [
        rewrite_shared(text, blanked, m)
        for m in re.finditer(rf"{BEFORE_SHARED}\b__shared__\b", blanked)
        if not blanked[blanked.rfind("\n", 0, m.start()) + 1 : m.start()].lstrip().startswith("#")
    ]
    edits += [
        rewrite_launch(text, blanked, m.start()) for m in re.finditer(r"(?<!<)<<<(?!<)", blanked)
    ]
    result, position = [], 0
    for begin, end, replacement in sorted(edits):
        lost = text.count("\n", begin, end) - replacement.count("\n")
        result += [text[position:begin], replacement, "\n" * lost]
        position = end
    result.append(text[position:])
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'#include <cuda_runtime.h>\n#line 1 "{escaped}"\n' + "".join(result)


def main(arguments):
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    source = Path(arguments[0])
    try:
        result = rewrite(source.read_text(encoding="utf-8"), source.resolve().as_posix())
    except RewriteError as error:
        # As compilers tell their errors, for all who read those.
        print(re.sub(r"^line (\d+): ", rf"{source}:\1: error: ", str(error)), file=sys.stderr)
        return 1
    Path(arguments[1]).write_text(result, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
