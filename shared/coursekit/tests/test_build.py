"""Compiling a homework: compilers found and missing, readable errors, CMake, the cache."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from coursekit.core import build, buildfiles, compiling, kept_builds, toolchain
from coursekit.core.errors import CourseError
from coursekit.student import work

CXX = """\
#include <pybind11/pybind11.h>
PYBIND11_MODULE(tiny_ext, m) {
  m.def("twice", [](int x) { return 2 * x; });
}
"""


@pytest.fixture
def extension(world):
    world.edit("course.toml", 'title = "Numbers"', 'title = "Numbers"\nbuild = "make"')
    world.write("hw0/src/tiny_ext.cpp", CXX)
    return world


def test_a_missing_compiler_is_one_sentence(extension, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv("CXX", raising=False)
    done = extension.hw("build", "hw0")
    assert done.returncode == 2 and "no C++ compiler found" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_compile_error_names_file_and_line_and_keeps_the_old_module(extension):
    extension.write("hw0/src/tiny_ext.so", "old")
    extension.write("hw0/src/tiny_ext.cpp", "int f() { return missing_name; }\n")
    done = extension.hw("build", "hw0")
    assert done.returncode == 2 and "src/tiny_ext.cpp:1:" in done.stderr
    assert "missing_name" in done.stderr and "Traceback" not in done.stderr
    assert extension.read("hw0/src/tiny_ext.so") == "old"


@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="no C++ compiler")
def test_building_and_the_cache(extension, monkeypatch, tmp_path):
    monkeypatch.setenv("NEEDLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CXXFLAGS", "-O0")
    homework = extension.course().homework("hw0")
    folder = extension.root / "hw0"
    assert build.is_stale(folder, homework)
    assert kept_builds.build_tree(folder, homework) is False
    assert not build.is_stale(folder, homework)
    content = (folder / "src/tiny_ext.so").read_bytes()
    (folder / "src/tiny_ext.so").unlink()
    monkeypatch.setattr(kept_builds, "build", None)  # the cache must do
    assert kept_builds.build_tree(folder, homework) is True
    assert (folder / "src/tiny_ext.so").read_bytes() == content
    extension.edit("hw0/src/tiny_ext.cpp", "2 * x", "3 * x")
    assert kept_builds.build_key(folder, homework) not in {
        p.name for p in (tmp_path / "cache/builds").iterdir()
    }


def test_the_summary_of_a_long_log_is_its_errors():
    rows = [
        "In file included from x",
        *[f"a.cc:{n}:1: error: wrong {n}" for n in range(9)],
        "note: y",
    ]
    text = compiling.summary(rows)
    assert text.count("error:") == 5 and "and 4 more" in text and "note" not in text


# ----------------------------------------------------------------------- compilers and their tools


def only(*programs: str):
    """A machine with these programs and no others."""
    return lambda name: f"/usr/bin/{name}" if name in programs else None


def test_the_compiler_is_the_one_of_cxx_or_the_first_at_hand(monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(shutil, "which", only("g++", "clang++", "my-c++"))
    assert toolchain.compiler() == "g++"
    monkeypatch.setenv("CXX", "my-c++ -m64")
    assert toolchain.compiler() == "my-c++ -m64"
    monkeypatch.setenv("CXX", "no-such-c++")
    with pytest.raises(CourseError, match="names no program; unset CXX"):
        toolchain.compiler()


@pytest.mark.parametrize(
    ("platform", "program", "says"),
    [
        ("darwin", "", "xcode-select --install"),
        ("win32", "", "WSL"),
        ("linux", "apt-get", "sudo apt-get install g++"),
        ("linux", "apk", "sudo apk add g++"),
        ("linux", "", "your system's package manager"),
    ],
)
def test_the_hint_names_this_systems_command(monkeypatch, platform, program, says):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(shutil, "which", only(program))
    assert says in toolchain.compiler_hint()


def test_a_missing_tool_or_header_is_told_with_its_command(monkeypatch):
    monkeypatch.setattr(shutil, "which", only())
    with pytest.raises(
        CourseError, match=r"no-such-tool is missing; install it with: .* no-such-tool"
    ):
        toolchain.tool("no-such-tool")
    monkeypatch.setitem(sys.modules, "pybind11", None)
    with pytest.raises(CourseError, match="pybind11 is missing; install it with"):
        toolchain.includes()


def test_a_homework_without_cpp_needs_no_build(world):
    homework, folder = world.course().homework("hw1"), world.root / "hw1"
    assert build.build(folder, homework) == []
    assert kept_builds.build_tree(folder, homework) is True
    assert not build.is_stale(folder, homework)
    assert buildfiles.given_inputs(folder, homework) == []


def test_flags_of_the_makefile_are_used_and_lists_of_several_lines_read(extension, monkeypatch):
    monkeypatch.delenv("CXXFLAGS", raising=False)
    homework, folder = extension.course().homework("hw0"), extension.root / "hw0"
    extension.write("hw0/Makefile", "CXXFLAGS := -O1 \\\n  -Wall\nFAST := -fno-such-flag-at-all\n")
    rows: list[str] = []
    assert build.build(folder, homework, rows.append) == [folder / "src/tiny_ext.so"]
    assert build._make_variable(folder / "Makefile", "CXXFLAGS") == "-O1    -Wall"
    assert build._make_variable(folder / "nothing", "CXXFLAGS") is None
    (folder / "src/tiny_ext.cpp").unlink()
    with pytest.raises(CourseError, match=r"holds no .*_ext.cpp to compile"):
        build.build(folder, homework)


# ------------------------------------------------------------------------------------------- CMake


CMAKE = """\
cmake_minimum_required(VERSION 3.26)
project(tiny LANGUAGES NONE)
file(WRITE "${CMAKE_SOURCE_DIR}/python/tiny.so" "built")
add_custom_target(tiny ALL)
"""


@pytest.fixture
def cmake(world, monkeypatch):
    """(homework, its folder), a homework that CMake builds without a compiler."""
    monkeypatch.setenv("NEEDLE_BUILD_JOBS", "1")
    world.edit("course.toml", 'title = "Numbers"', 'title = "Numbers"\nbuild = "cmake"')
    world.write("hw0/CMakeLists.txt", CMAKE)
    world.write("shared/kernels/kernels.cmake", "# given\n")
    world.write("shared/kernels/tests/test_kernels.cc", "")
    return world.course().homework("hw0"), world.root / "hw0"


def test_cmake_builds_and_a_moved_tree_is_configured_anew(cmake, tmp_path):
    homework, folder = cmake
    assert build.build(folder, homework) == [folder / "python/tiny.so"]
    assert not build.is_stale(folder, homework)
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved)
    (moved / "python/tiny.so").unlink()
    assert build.build(moved, homework) == [moved / "python/tiny.so"]


def test_what_is_given_belongs_to_the_build(cmake, monkeypatch, tmp_path):
    homework, folder = cmake
    given = folder.parent / "shared/kernels/kernels.cmake"
    assert buildfiles.given_inputs(folder, homework) == [given]
    key = kept_builds.build_key(folder, homework)
    given.write_text("# corrected\n")
    assert kept_builds.build_key(folder, homework) != key
    monkeypatch.setenv("NEEDLE_SHARED", str(folder.parent / "shared"))
    assert buildfiles.shared_folder(tmp_path) == folder.parent / "shared"
    monkeypatch.delenv("NEEDLE_SHARED")
    own = Path(buildfiles.__file__).parents[2]
    assert own.name == "shared" and buildfiles.shared_folder(tmp_path) == own


def test_a_cmake_error_and_a_missing_list_are_readable(cmake):
    homework, folder = cmake
    (folder / "CMakeLists.txt").write_text(CMAKE + 'message(FATAL_ERROR "wrong here")\n')
    with pytest.raises(compiling.BuildError, match="hw0 does not compile") as caught:
        build.build(folder, homework)
    assert "wrong here" in caught.value.log
    (folder / "CMakeLists.txt").unlink()
    with pytest.raises(CourseError, match=r"has no CMakeLists.txt"):
        build.build(folder, homework)


def test_the_cache_folder_is_the_users_unless_named(monkeypatch, tmp_path):
    monkeypatch.delenv("NEEDLE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert kept_builds.cache_folder() == tmp_path / "needle-course"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert kept_builds.cache_folder() == Path.home() / ".cache" / "needle-course"


# ------------------------------------------------------------------------------------------- parts


PARTS = """\
cmake_minimum_required(VERSION 3.26)
project(parts LANGUAGES NONE)
foreach(name cpu cuda_emulated cuda_checked)
  set(module "${CMAKE_SOURCE_DIR}/python/ndarray_backend_${name}.so")
  add_custom_target(ndarray_backend_${name} ALL COMMAND "${CMAKE_COMMAND}" -E touch "${module}")
endforeach()
"""


@pytest.fixture
def parts(cmake):
    """(homework, its folder) of CPU and CUDA, all older than the first build."""
    homework, folder = cmake
    (folder / "CMakeLists.txt").write_text(PARTS)
    (folder / "src").mkdir(exist_ok=True)
    for name in ("kernels_cpu.cc", "kernels.cu"):
        (folder / "src" / name).write_text("")
    return homework, folder


def names(paths):
    return [path.stem.removeprefix("ndarray_backend_") for path in paths]


def test_the_cpus_part_is_enough_to_begin_and_the_rest_comes_when_asked(parts):
    homework, folder = parts
    assert names(build.build(folder, homework, parts=build.CPU)) == ["cpu"]
    assert not build.is_stale(folder, homework, build.CPU)
    assert build.is_stale(folder, homework, build.DEVICES)
    made = names(build.build(folder, homework, parts=build.DEVICES))
    assert "cuda_emulated" in made and "cuda_checked" not in made
    assert not build.is_stale(folder, homework, build.DEVICES)
    assert "cuda_checked" in names(build.build(folder, homework))


def younger(path, than):
    """Give a file a time after that of the modules."""
    newest = max(module.stat().st_mtime for module in buildfiles.outputs(than))
    os.utime(path, (newest + 5, newest + 5))


def test_an_edit_makes_stale_what_it_concerns(parts):
    homework, folder = parts
    build.build(folder, homework)
    younger(folder / "src" / "kernels.cu", folder)
    assert not build.is_stale(folder, homework, build.CPU)
    assert build.is_stale(folder, homework, build.DEVICES)
    younger(folder / "src" / "kernels_cpu.cc", folder)
    assert build.is_stale(folder, homework, build.CPU)


def test_without_cuda_builds_nothing_of_cuda_is_missed(parts, monkeypatch):
    homework, folder = parts
    monkeypatch.setenv("NEEDLE_CMAKE_ARGS", "-DNEEDLE_CUDA_BUILDS=")
    build.build(folder, homework, parts=build.CPU)
    assert not build.is_stale(folder, homework, build.DEVICES)


def test_nothing_new_is_nothing_made(cmake):
    homework, folder = cmake
    assert names(build.build(folder, homework)) == ["tiny"]
    assert build.build(folder, homework) == []


def test_warnings_of_the_students_own_sources_are_shown_and_no_others(tmp_path):
    own = f"{tmp_path}/src/kernels.cc:3:7: warning: unused variable 'x' [-Wunused-variable]"
    rows = [
        own,
        "  3 |  int x;",
        own,
        "/usr/include/a.h:1:2: warning: old",
        "src/b.cu:9: warning: c",
    ]
    assert compiling.warnings(tmp_path, rows) == [
        own[len(str(tmp_path)) + 1 :],
        "src/b.cu:9: warning: c",
    ]


def test_what_tests_need_compiled():
    def problems(*selects) -> Any:
        return [SimpleNamespace(select=select) for select in selects]

    mixed: Any = SimpleNamespace(problems=problems("", "cpu", "cuda"))
    everywhere: Any = SimpleNamespace(problems=problems("", ""))
    assert work.parts_for(mixed, problems("", "cpu"), None) == build.CPU
    assert work.parts_for(mixed, problems("cpu", "cuda"), None) == build.DEVICES
    assert work.parts_for(mixed, problems("cpu"), "cuda") == build.DEVICES
    assert work.parts_for(everywhere, problems(""), None) == build.DEVICES
    assert work.parts_for(everywhere, problems(""), "cpu_numpy") == build.CPU


def test_a_path_that_cmake_cannot_read_is_one_sentence(cmake, tmp_path):
    homework, folder = cmake
    odd = tmp_path / "a;b"
    shutil.copytree(folder, odd / "hw0")
    with pytest.raises(CourseError, match="CMake ends a name at ';': move the course out of"):
        build.build(odd / "hw0", homework)
    assert toolchain.path_fault(tmp_path / "with blank, ünd #") == ""


def test_an_error_shows_the_line_that_it_is_about(tmp_path):
    (tmp_path / "hw3").mkdir()
    (tmp_path / "hw3" / "k.cu").write_text("int a;\n  out[i] = y;\n")
    text = compiling.summary(["hw3/k.cu:2:168: error: 'y' was not declared"], tmp_path)
    assert text == "  hw3/k.cu:2: error: 'y' was not declared\n      2 | out[i] = y;"
    assert (
        compiling.summary(["a.cc:9:1: error: no such line"], tmp_path)
        == "  a.cc:9:1: error: no such line"
    )


def test_errors_in_what_is_given_are_told_only_where_there_is_no_other():
    mine = "hw3/src/k.cu:2:9: error: cannot convert 'a'"
    given = "../../shared/cuda_emulator/src/emulator.h:73:17: error: use of deleted function 'b'"
    assert compiling.summary([mine, given, given]) == "  hw3/src/k.cu:2: error: cannot convert 'a'"
    assert "emulator.h:73" in compiling.summary([given])
