"""What nvcc makes of the CUDA sources: machine code for five architectures, and one PTX.

Without nvcc there is nothing to look at, and these tests say so. `pip install
'needle-course[cuda]'` brings nvcc and cuobjdump.
"""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ARCHITECTURES = ["sm_75", "sm_80", "sm_86", "sm_89", "sm_90"]
NVCC = shutil.which("nvcc")
ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.skipif(
    NVCC is None, reason="there is no nvcc on this machine: the hardware build was not looked at"
)


def cuobjdump():
    """NVIDIA's cuobjdump: of the toolkit, else of the wheel nvidia-cuda-cuobjdump."""
    found = shutil.which("cuobjdump")
    if found is None and importlib.util.find_spec("nvidia") is not None:
        for folder in importlib.util.find_spec("nvidia").submodule_search_locations:
            found = next((str(path) for path in Path(folder).glob("cu*/bin/cuobjdump")), found)
    assert found, "no cuobjdump: pip install nvidia-cuda-cuobjdump"
    return found


def compile_with_nvcc(source, folder):
    """Compile for one architecture; returns the finished process."""
    command = [NVCC, "-std=c++17", "-arch=sm_75", f"-I{ROOT / 'shared'}", "-c", str(source)]
    return subprocess.run(
        [*command, "-o", str(folder / "out.o")], capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="session")
def module(solved):
    """The hardware build."""
    folder = solved / "hw3" / "python" / "needle" / "backend_ndarray"
    found = [path for path in folder.glob("ndarray_backend_cuda.*") if path.suffix != ".py"]
    assert len(found) == 1, "nvcc is here, but the hardware build was not made"
    return found[0]


def test_the_module_holds_five_machine_codes_and_one_ptx(module):
    command = [cuobjdump(), "-lelf", "-lptx", str(module)]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert sorted(re.findall(r"(sm_\d+)\.cubin", listed)) == ARCHITECTURES, listed
    assert re.findall(r"(sm_\d+)\.ptx", listed) == ["sm_90"], listed


def test_the_module_needs_no_cuda_library_to_be_imported(module):
    listed = subprocess.run(["ldd", str(module)], capture_output=True, text=True).stdout
    assert "libcudart" not in listed and "libcuda.so" not in listed


def test_nvcc_compiles_the_solution_without_warnings(solved, tmp_path):
    done = compile_with_nvcc(solved / "hw3" / "src" / "ndarray_backend_cuda.cu", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_nvcc_compiles_the_handout(handout, tmp_path):
    done = compile_with_nvcc(handout / "src" / "ndarray_backend_cuda.cu", tmp_path)
    assert done.returncode == 0, done.stderr
