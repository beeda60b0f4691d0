"""The emulated device's own tests: seeded bugs must be reported, correct kernels must stay silent.

`bugs.cu` and `correct.cu` hold the kernels; every case runs in a process of its own.
"""

import re

import building
import pytest

BUGS = building.HERE / "bugs.cu"
CORRECT = building.HERE / "correct.cu"

RACE = "race on .* no barrier lies between"
NEVER_WRITTEN = "which nothing has written yet"
DIVERGENT = "divergent barrier: this thread waits"
ENDLESS = "still in this loop after 1 s"
CONFIGURATION = r"^error: invalid configuration argument: \w+ was not launched at \S+ \((.* at most|a grid of no)"
ARGUMENT = "^error: invalid argument"

# What the checked build says, and what a plain run comes to: the same report ("same"), a report
# without a line ("fault"), a wrong result ("wrong"), or nothing at all ("fine").
EXPECTED = {
    "write_past_the_end": ("writes right behind the end of an array of 400 bytes", "fault"),
    "read_past_the_end": ("reads right behind the end of an array of 400 bytes", "fine"),
    "guard_off_by_one": (r"thread \(100, 0, 0\).*right behind the end of .*argument out", "fault"),
    "read_before_the_beginning": ("reads 4 bytes before the beginning", "fine"),
    "far_out_of_bounds": ("far out of bounds", "fault"),
    "shared_index_past_its_row": (r"index 16 is out of bounds .*float \[16\]", "same"),
    "shared_tile_turned_round": (r"index 8 is out of bounds .*float \[8\]", "same"),
    "shared_through_a_pointer": (
        "writes right behind the end of the __shared__ variable first",
        "fine",
    ),
    "dynamic_shared_too_small": ("writes right behind the end of the __shared__ variable", "fine"),
    "dynamic_shared_forgotten": ("the launch gave it no size", "same"),
    "local_array_index": (r"thread \(4, 0, 0\).*index 4 is out of bounds", "same"),
    "host_pointer": ("memory that cudaMalloc has not given out: a pointer of the host", "fine"),
    "null_pointer": ("null pointer", "same"),
    "use_after_free": ("after cudaFree has taken it back", "fine"),
    "misaligned_float4": ("misaligned access: .*float4 must lie at a multiple of 16", "same"),
    "host_reads_device_memory": ("host code, .*reads device memory directly", "fine"),
    "copy_in_the_wrong_direction": (ARGUMENT, "same"),
    "copy_too_long": (ARGUMENT, "same"),
    "freed_twice": (ARGUMENT, "same"),
    "shared_uninitialized": (rf"reads the __shared__ \w+\[32\], {NEVER_WRITTEN}", "wrong"),
    "global_uninitialized": (rf"reads element 0 .*argument \w+, {NEVER_WRITTEN}", "wrong"),
    "reduction_of_an_odd_count": (rf"shared__ partial\[\d+\], {NEVER_WRITTEN}", "wrong"),
    "no_barrier_after_loading": (rf"shared__ tile(\[\d+\])+, {NEVER_WRITTEN}", "wrong"),
    "no_barrier_in_a_reduction": (RACE, "wrong"),
    "no_barrier_before_overwriting": (RACE, "wrong"),
    "no_syncwarp_in_a_warp": (f"{RACE}|{NEVER_WRITTEN}", "wrong"),
    "barrier_in_a_branch": (f"{DIVERGENT}.*has already returned", "same"),
    "two_different_barriers": (f"{DIVERGENT}.*waits at __syncthreads", "same"),
    "return_before_a_barrier": (rf"{DIVERGENT}.*thread \(50, 0, 0\) has already returned", "same"),
    "barrier_in_an_uneven_loop": (DIVERGENT, "same"),
    "counter_without_atomics": (RACE, "fine"),
    "two_threads_write_one_element": (RACE, "fine"),
    "blocks_share_an_output": ("race on .*nothing orders the blocks", "fine"),
    "shift_in_place": (RACE, "fine"),
    "atomic_write_plain_read": (RACE, "fine"),
    "spins_on_a_flag": (ENDLESS, "same"),
    "loop_with_a_barrier_never_ends": (ENDLESS, "same"),
    "loop_over_a_local_never_ends": (ENDLESS, "same"),
    "a_loop_that_never_ends_again_and_again": (r"still in this loop after 0\.02 s", "same"),
    "an_axis_without_length": ("an integer is divided by zero, by / or %", "same"),
    "recursion_without_end": ("its stack of .* is full: a function that calls itself", "same"),
    "launch_without_a_check": (
        r"^fault: no_guard was not launched at bugs.cu:\d+ \(2048 threads in a block, at most 1024\), "
        "and nobody asked",
        "same",
    ),
    "launch_without_a_check_and_another": (
        "^fault: no_guard was not .*a grid of no blocks",
        "same",
    ),
    "template_without_a_guard": (
        r"^fault: of_a_kind<kSecond, factor = 3>, block .*right behind the end .*argument result",
        "fault",
    ),
    "lane_outside_its_mask": ("leaves out the lane that calls it", "same"),
    "shuffle_in_a_branch": (DIVERGENT, "same"),
    "shuffle_from_lanes_that_are_not_there": ("^wrong: sum is -?nan", "wrong"),
    "too_many_threads": (CONFIGURATION, "same"),
    "empty_grid": (CONFIGURATION, "same"),
    "grid_too_high": (CONFIGURATION, "same"),
    "too_much_shared_memory": (CONFIGURATION, "same"),
    "goes_on_after_a_fault": ("^fine", "same"),
}
FALSE_ALARMS = {"fence_and_ticket"}
RACES_BETWEEN_CORES = {"blocks_share_an_output"}  # a plain run may or may not show it


@pytest.fixture
def programs(once):
    """Programs by (file, kind), compiled when first asked for."""
    return lambda source, kind: building.build(source, kind, once)


def marked_line(case):
    """Number of the line marked `// here: ... case ...` in bugs.cu; None if there is none."""
    rows = BUGS.read_text(encoding="utf-8").splitlines()
    for number, row in enumerate(rows, 1):
        if "// here:" in row and case in row.split("// here:")[1].split():
            return number
    return None


def test_every_bug_has_an_expectation():
    assert sorted(building.cases(BUGS)) == sorted(EXPECTED)


@pytest.mark.parametrize("case", EXPECTED)
def test_the_checked_build_reports_a_seeded_bug(programs, case):
    got = building.run(programs(BUGS, "checked"), case)
    assert re.search(EXPECTED[case][0], got), got
    if got.startswith("fault: ") and not re.match("fault: (host|.* was not launched)", got):
        assert re.match(
            r"fault: [^,]+(, factor = 3>)?, block \(\d+, \d+, \d+\), thread \(\d+, \d+, \d+\)", got
        ), got
    line = marked_line(case)
    if line is not None:
        assert f"bugs.cu:{line}" in got, got


@pytest.mark.parametrize("case", EXPECTED)
def test_a_plain_run_of_a_seeded_bug_never_takes_the_process_down(programs, case):
    pattern, plain = EXPECTED[case]
    got = building.run(programs(BUGS, "emulated"), case)
    if plain == "same":
        assert re.search(pattern, got), got
    elif case not in RACES_BETWEEN_CORES:
        assert got.split(":")[0] == plain, got
    assert not got.startswith("crash"), got


@pytest.mark.parametrize("order", ["forward", "reverse", "random:1"])
@pytest.mark.parametrize("case", building.cases(CORRECT))
@pytest.mark.parametrize("kind", ["emulated", "checked"])
def test_a_correct_kernel_gives_its_result_in_silence(programs, kind, case, order):
    got = building.run(programs(CORRECT, kind), case, order)
    if kind == "checked" and case in FALSE_ALARMS:
        assert "race on" in got, "the known false alarm is gone: say so in gpu-model.md"
    else:
        assert got == "fine"


def test_an_unknown_order_is_refused(programs):
    got = building.run(programs(CORRECT, "emulated"), "grid_stride_loop", "sideways")
    assert "NEEDLE_CUDA_ORDER is 'sideways'; it may be forward, reverse" in got


def test_another_order_shows_what_forward_order_hides(programs):
    # Forward, every thread reads its right neighbour before that one writes; in reverse, after.
    forward, reverse = (
        building.run(programs(BUGS, "emulated"), "shift_in_place", order)
        for order in ("forward", "reverse")
    )
    assert (forward, reverse.split(":")[0]) == ("fine", "wrong")
