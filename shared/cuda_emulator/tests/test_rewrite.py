"""rewrite.py: what it replaces, what it leaves alone, and that every line keeps its number."""

import importlib.util

import building
import pytest

spec = importlib.util.spec_from_file_location("rewrite", building.EMULATION / "rewrite.py")
rewrite = importlib.util.module_from_spec(spec)
spec.loader.exec_module(rewrite)


def rewritten(text):
    """The result without the two lines that it begins with."""
    return rewrite.rewrite(text, "file.cu").split("\n", 2)[2]


def test_a_launch_names_its_kernel_and_passes_configuration_and_arguments():
    got = rewritten("k<<<grid, dim3(16, 16), 4, s>>>(a, f(b, c));")
    assert got == (
        '::cuda_emulation::Launcher{"k", {__FILE__, __LINE__}, '
        "::cuda_emulation::Config(grid, dim3(16, 16), 4, s), "
        '__PRETTY_FUNCTION__, "a\\nf(b, c)"}'
        "([&](const auto&... needle_arguments) { k(needle_arguments...); }, a, f(b, c));"
    )


@pytest.mark.parametrize(
    "kernel",
    [
        "kernel",
        "kernel<float>",
        "kernel<float, 4>",
        "kernel<Pair<int, 2> >",
        "space::kernel<T>",
        "::k",
    ],
)
def test_kernel_names_with_templates_and_namespaces(kernel):
    got = rewritten(f"if (x < y) {kernel}<<<1, 2>>>();")
    assert got.startswith(f'if (x < y) ::cuda_emulation::Launcher{{"{kernel}"')
    assert got.endswith(f"{{ {kernel}(needle_arguments...); }});")


@pytest.mark.parametrize(
    "text",
    [
        "// k<<<1, 2>>>(a);\n",
        "/* __shared__ float a[2];\n k<<<1, 2>>>(a) */\n",
        'puts("k<<<1, 2>>>(a); __shared__");\n',
        'puts(R"x(k<<<1, 2>>>(a))x");\n',
        "int a = 1'000'000; char c = '\"'; a <<= 3; b = a << 2 >> 1;\n",
        "#define SHARED __shared__\n",
        "std::vector<std::vector<std::vector<int>>> v;\n",
    ],
)
def test_comments_strings_and_lookalikes_are_left_alone(text):
    assert rewritten(text) == text


def test_comments_inside_a_launch_do_not_confuse():
    got = rewritten("k<<<1, /* ) >>> */ 2>>>(a, // first )\n  b);\nnext();")
    assert got.count("\n") == 2 and got.endswith("\nnext();") and "b);" in got


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "__shared__ float a[2][N];",
            ["typedef float needle_shared_a[2][N]", "needle_shared_a& a"],
        ),
        ("__shared__ T a;", ["typedef T needle_shared_a;"]),
        (
            "static __shared__ int a[4], b;",
            ["typedef int needle_shared_a[4]", "typedef int needle_shared_b;"],
        ),
        ("__shared__ volatile float a[2];", ["typedef volatile float needle_shared_a[2]"]),
        ("volatile __shared__ float a[2];", ["typedef volatile float needle_shared_a[2]"]),
        ("__shared__ __align__(16) float a[2];", ["typedef float needle_shared_a[2]"]),
        ("__shared__ float4 *a[2];", ["typedef float4 * needle_shared_a[2]"]),
        (
            "__shared__ unsigned char a[sizeof(int)];",
            ["typedef unsigned char needle_shared_a[sizeof(int)]"],
        ),
    ],
)
def test_shared_variables_become_references_to_the_blocks_copy(text, expected):
    got = rewritten(f"void f() {{ {text} }}")
    assert all(part in got for part in expected) and "__shared__" not in got


def test_extern_shared_inside_and_outside_of_functions():
    inside = rewritten("namespace n { void f() { extern __shared__ float a[]; } }")
    assert "float* const a = ::cuda_emulation::dynamic_shared<float>();" in inside
    outside = rewritten("namespace n { extern __shared__ float a[]; }")
    assert "static const ::cuda_emulation::DynamicShared<float> a;" in outside


@pytest.mark.parametrize(
    ("kernel", "names"),
    [
        (
            "__global__ void k(const float* a, float out[], std::pair<int, int> size)",
            "a\\nout\\nsize",
        ),
        ("template <int n>\n__global__ void\nk(float *a, int m, int)", "a\\nm\\nint"),
        ("void other(int x)", "x.ptr\\ny.z\\n1"),
    ],
)
def test_a_launch_tells_the_names_of_the_kernels_parameters(kernel, names):
    got = rewritten(f"{kernel} {{}} void f() {{ k<<<1, 2>>>(x.ptr, y->z, 1); }}")
    assert f'__PRETTY_FUNCTION__, "{names}"}}' in got


KERNEL = "template <int n> __global__ void k(int* a) {\n}\n"


@pytest.mark.parametrize("call", ["  k<4>(a);", "  k (a);", "  if (a) k<4>(a);"])
def test_a_kernel_that_is_called_like_a_function_is_an_error(call):
    """Without a CUDA compiler it would run, once, on the host."""
    with pytest.raises(
        rewrite.RewriteError, match="line 4: the kernel k is called like a function"
    ):
        rewritten(f"{KERNEL}void f(int* a) {{\n{call}\n}}\n")


@pytest.mark.parametrize(
    "text",
    [
        f"{KERNEL}void f(int* a) {{\n  k<4><<<1, 1>>>(a);\n}}\n",
        f"{KERNEL}void k(int* a, int n) {{\n  k<4><<<1, 1>>>(a);\n}}\nvoid f() {{\n  k(0, 1);\n}}\n",
        "__global__ void k(int* a);\n__global__ void k(int* a) {\n}\n",
        f"{KERNEL}auto pointer = &k<4>;\n",
    ],
    ids=["launched", "a function of the host has its name", "declared first", "its address"],
)
def test_kernels_that_are_not_called_are_none(text):
    rewritten(text)


def test_every_line_keeps_its_number():
    text = building.HERE.joinpath("correct.cu").read_text(encoding="utf-8")
    for source in (text, "k<<<1,\n 2\n>>>\n(a,\n b\n);\n\n__shared__ float\n a[2];\nend"):
        before, after = source.split("\n"), rewritten(source).split("\n")
        assert len(before) == len(after)
        assert all(b == a for b, a in zip(before, after) if b.strip() in ("", "end", "finish();"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\nk<<<1, 2;\n", "line 2: '<<<' without '>>>'"),
        ("k<<<1, 2>>>;", "line 1: '>>>' is not followed by the arguments"),
        ("k<<<1, 2>>>(a;", "line 1: the '(' is never closed"),
        ("\n\n__shared__ float a = 1;", "line 3: this __shared__ declaration is not understood"),
        ("__shared__ float a[2]", "line 1: a __shared__ variable without ';'"),
    ],
)
def test_what_is_not_understood_is_an_error_with_its_line(text, words, tmp_path):
    with pytest.raises(rewrite.RewriteError, match=words.replace("(", r"\(")):
        rewritten(text)
    source = tmp_path / "bad.cu"
    source.write_text(text, encoding="utf-8")
    done = building.rewrite(source, tmp_path / "out.cc")
    line, told = words.removeprefix("line ").split(": ", 1)
    assert done.returncode == 1 and f"{source}:{line}: error: {told}" in done.stderr
