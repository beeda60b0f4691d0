"""The corpora are CUDA: nvcc compiles them too, and refuses what a host compiler would take."""

import shutil
import subprocess

import building
import pytest

NVCC = shutil.which("nvcc")

pytestmark = pytest.mark.skipif(
    NVCC is None, reason="there is no nvcc on this machine: the corpora were not compiled by it"
)


def compile_with_nvcc(source, folder):
    """Compile for one architecture; returns the finished process."""
    command = [NVCC, "-std=c++17", "-arch=sm_75", f"-I{building.HERE}", "-c", str(source)]
    return subprocess.run(
        [*command, "-o", str(folder / "out.o")], capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize("corpus", ["bugs.cu", "correct.cu"])
def test_nvcc_compiles_the_emulated_devices_own_tests(corpus, tmp_path):
    done = compile_with_nvcc(building.HERE / corpus, tmp_path)
    assert done.returncode == 0, done.stderr


MISUSES = {
    "a kernel that returns a value": "__global__ int k() { return 1; }",
    "a host function in a kernel": (
        '#include <cstdlib>\n__global__ void k(int* a) { *a = std::atoi("1"); }'
    ),
}


@pytest.mark.parametrize("misuse", MISUSES)
def test_nvcc_refuses_what_a_host_compiler_would_take(misuse, tmp_path):
    source = tmp_path / "misuse.cu"
    source.write_text(MISUSES[misuse] + "\nint main() {}\n", encoding="utf-8")
    assert compile_with_nvcc(source, tmp_path).returncode != 0
