"""The backward pass with an ear: told of each parameter the moment its gradient is known."""

from needle import init
from needle.autograd import find_topo_sort, sum_node_list


def backward(loss, ready):
    """As `loss.backward()`, for the leaves only; `ready(leaf)` is called when leaf.grad is complete.

    It is complete once every use of the leaf has been gone through, often long before the pass ends.
    The order is the same on every rank that computes the same graph.

    Args:
        loss: Tensor to differentiate.
        ready: function of a Tensor.
    """
    order = find_topo_sort([loss])
    grads = {loss: [init.ones_like(loss)]}
    while order:
        node = order.pop()
        grad = sum_node_list(grads.pop(node, []))
        if grad is None:  # a constant
            continue
        if node.is_leaf():
            node.grad = grad.detach()
            ready(node)
            continue
        for value, part in zip(node.inputs, node.op.gradient_as_tuple(grad, node)):
            grads.setdefault(value, []).append(part)
