"""Homework 1: the topological sort of a graph."""

import sys
from functools import partial

sys.path.append("./python")

import needle as ndl
import numpy as np
import pytest
from course_testing import slip
from needle import autograd


class CountingNode:
    """What a topological sort sees of a Value; it counts how often it is looked at."""

    looks = 0
    limit = None

    def __init__(self, name, *inputs):
        self.name, self._inputs = name, inputs

    def __repr__(self):
        return self.name

    def __hash__(self):
        return id(self)

    def __eq__(self, other):
        self.look()
        return self is other

    @classmethod
    def look(cls):
        CountingNode.looks += 1
        if cls.limit is not None and cls.looks > cls.limit:
            limit, CountingNode.limit = cls.limit, None
            pytest.fail(
                f"hw1/topo_sort: more than {limit} looks at the graph: each node must be visited "
                f"once, and what was visited be remembered in a set"
            )

    @property
    def inputs(self):
        self.look()
        return self._inputs

    @property
    def op(self):
        return None if not self._inputs else "some operator"

    def is_leaf(self):
        return not self._inputs


@pytest.fixture
def few_looks():
    """Sets how many looks at the graph are allowed in this test."""

    def allow(limit):
        CountingNode.looks, CountingNode.limit = 0, limit

    yield allow
    CountingNode.limit = None


def sort_deep_graph(root):
    """find_topo_sort([root]); a recursion that is too deep fails in one sentence."""
    try:
        return autograd.find_topo_sort([root])
    except RecursionError:
        too_deep = True
    if too_deep:
        pytest.fail(
            "hw1/topo_sort: an edge case, RecursionError: a graph may be deeper than Python's call stack; "
            "keep the nodes in progress on a list of your own"
        )


def names(nodes):
    return " ".join(node.name for node in nodes)


def walk(ends, order=1, first=False, forget=False):
    """A depth-first order of the nodes; by its arguments one of the orders that are not asked."""
    found = []

    def visit(node):
        if any(node is other for other in seen):
            return
        seen.append(node)
        if first:
            found.append(node)
        for value in list(node.inputs)[::order]:
            visit(value)
        if not first:
            found.append(node)

    seen = []
    for end in ends:
        seen = [] if forget else seen
        visit(end)
    return found


WRONG_ORDERS = {
    "the order is reversed: inputs come before what uses them": lambda ends: walk(ends)[::-1],
    "inputs are visited from right to left": lambda ends: walk(ends, order=-1),
    "a node is written down when it is entered: when it is left (post-order)": lambda ends: walk(
        ends, first=True
    ),
    "nodes that two ends share are listed twice: remember what was visited": lambda ends: walk(
        ends, forget=True
    ),
    "only the first of the ends is followed": lambda ends: walk(ends[:1]),
}


def assert_order(ends, wanted, show=lambda node: node.name):
    """find_topo_sort(ends), shown node by node, is `wanted`."""
    found = " ".join(str(show(node)) for node in autograd.find_topo_sort(ends))
    for sentence, wrong in WRONG_ORDERS.items():
        of_wrong = partial(lambda wrong: " ".join(str(show(node)) for node in wrong(ends)), wrong)
        wanted = slip(sentence, wanted, of_wrong)
    assert found == wanted, f"hw1/topo_sort: the order is {found}, expected {wanted}"


def by_value(node):
    return f"{node.numpy().item():g}"


def test_topo_sort_of_a_small_graph_by_its_values():
    a, b = ndl.Tensor([[2.0]]), ndl.Tensor([[5.0]])
    assert_order([a * b + a], "2 5 10 12", by_value)
    assert_order([3 * a * a + 4 * b * a - a], "2 6 12 5 20 40 52 -2 50", by_value)


def test_topo_sort_returns_the_nodes_themselves():
    a, b = ndl.Tensor([1.0]), ndl.Tensor([2.0])
    product = a * b
    total = product + a
    order = autograd.find_topo_sort([total])
    assert [id(node) for node in order] == [id(node) for node in (a, b, product, total)]


def test_topo_sort_is_post_order_and_goes_from_left_to_right():
    a, b = CountingNode("a"), CountingNode("b")
    left, right = CountingNode("left", b), CountingNode("right", a)
    root = CountingNode("root", left, right)
    assert_order([root], "b left a right root")


def test_topo_sort_puts_inputs_first_where_a_plain_walk_would_not():
    """Why topological order: `shared` is met early, on the short way, but used late as well."""
    shared = CountingNode("shared")
    late = CountingNode("late", shared)
    root = CountingNode("root", shared, late)
    assert_order([root], "shared late root")
    root = CountingNode("root", late, shared)
    assert_order([root], "shared late root")


def test_topo_sort_of_a_leaf_and_of_several_ends():
    a = CountingNode("a")
    x, y = CountingNode("x", a), CountingNode("y", a)
    assert_order([a], "a")
    assert_order([x, y], "a x y")
    assert_order([y, x, y], "a y x")


def test_topo_sort_lists_an_input_used_twice_once():
    a = CountingNode("a")
    square = CountingNode("square", a, a)
    assert_order([square], "a square")


@pytest.mark.parametrize("depth", [10, 300])
def test_topo_sort_visits_each_node_of_a_tower_of_diamonds_once(depth, few_looks):
    """There are 2 ** depth ways through the tower, but only 3 * depth + 1 nodes."""
    top = CountingNode("start")
    for level in range(depth):
        left, right = CountingNode(f"left {level}", top), CountingNode(f"right {level}", top)
        top = CountingNode(f"top {level}", left, right)
    few_looks(limit=10 * (3 * depth + 1))
    order = sort_deep_graph(top)
    assert len(order) == 3 * depth + 1, (
        f"hw1/topo_sort: {len(order)} nodes in the order, {3 * depth + 1} in the graph"
    )
    assert names(order[:4]) == "start left 0 right 0 top 0"


def test_topo_sort_of_a_chain_deeper_than_pythons_stack(few_looks):
    top = CountingNode("0")
    for level in range(1, 100_001):
        top = CountingNode(str(level), top)
    few_looks(limit=10 * 100_001)
    order = sort_deep_graph(top)
    assert [node.name for node in order] == [str(level) for level in range(100_001)]


def square_plus_itself(d):
    return d * d + d


def submit_topo_sort():
    import mugrade

    rng = mugrade.rng()
    a, b, c = (ndl.Tensor(rng.randn(1, 1)) for _ in range(3))
    for label, root in (
        ("sum of products", a * b + c * b + a),
        ("shared values", (a + b) * (a + b * 2) - (c + b)),
        ("reused result", square_plus_itself(a * c + b)),
    ):
        order = autograd.find_topo_sort([root])
        mugrade.submit(np.array([value.numpy().item() for value in order]), label=label)
    shared = a * b
    order = autograd.find_topo_sort([shared + c, shared * 2])
    mugrade.submit(np.array([value.numpy().item() for value in order]), label="two ends")
    label = "an edge case: many ways through few nodes, each visited once"
    numbers = rng.randint(1_000_000, size=(30, 3)).tolist()
    mugrade.submit(looks_at_a_tower(numbers), label=label)
    label = "an edge case: a chain deeper than Python's stack"
    mugrade.submit(length_of_a_chain(rng.randint(20_000, 30_000)), label=label)


def looks_at_a_tower(numbers):
    """[names in order, were few looks enough?] of a tower of diamonds, each of three numbers."""
    top = CountingNode(0)
    for left, right, above in numbers:
        top = CountingNode(above, CountingNode(left, top), CountingNode(right, top))
    CountingNode.looks = 0
    try:
        few = 10 * (3 * len(numbers) + 1)
        CountingNode.limit = 10 * few
        order = [node.name for node in autograd.find_topo_sort([top])]
        return [np.array(order), bool(CountingNode.looks <= few)]
    except BaseException as error:  # the limit's own, or a recursion
        return [type(error).__name__]
    finally:
        CountingNode.limit = None


def length_of_a_chain(depth):
    top = CountingNode("0")
    for _ in range(depth):
        top = CountingNode("more", top)
    try:
        return len(autograd.find_topo_sort([top]))
    except RecursionError:
        return "RecursionError"
