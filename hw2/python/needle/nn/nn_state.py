"""A module's state by name, and files in the safetensors format to keep it in."""

import os

import numpy

from needle.autograd import Tensor


def named(value, kind, name=""):
    """(path, part) for everything of class `kind` in a Module, dict, list or tuple: depth first,
    in order. The path of attributes, keys and indices reads "modules.0.weight"."""
    if isinstance(value, kind):
        yield name, value
    if hasattr(value, "forward"):  # a Module
        value = vars(value)
    elif isinstance(value, (list, tuple)):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        for key, part in value.items():
            yield from named(part, kind, f"{name}.{key}" if name else str(key))


def state_dict(module):
    """Copies of all Tensors of a module; a name is the path of attributes: "modules.0.weight"."""
    return {
        name: Tensor(value.numpy(), device=value.device, requires_grad=False)
        for name, value in named(module, Tensor)
    }


def load_state_dict(module, state):
    """Replace the data of all Tensors of a module; nothing changes if a name or shape is wrong.

    Args:
        state: dict from name to Tensor or NumPy array, with exactly the names of the module.

    Raises:
        KeyError, ValueError: they name the parameter.
    """
    targets = dict(named(module, Tensor))
    kind = type(module).__name__
    for name in [*targets, *state]:
        if name not in state:
            raise KeyError(f"{name} of {kind} is missing in the state")
        if name not in targets:
            raise KeyError(f"the state holds {name}, which {kind} does not have")
        given, expected = state[name].shape, targets[name].shape
        if given != expected:
            raise ValueError(f"{name} of {kind} has shape {expected}, the state holds {given}")
    for name, target in targets.items():
        target.data = Tensor(numpy.asarray(state[name]), device=target.device, dtype=target.dtype)


def save(state, path):
    """Write a Module, or a dict from names to Tensors or NumPy arrays, as a safetensors file."""
    from safetensors.numpy import save_file  # here, so that only who saves needs the package

    state = state.state_dict() if hasattr(state, "state_dict") else state
    unfinished = f"{path}.part"
    save_file({name: numpy.array(value, order="C") for name, value in state.items()}, unfinished)
    os.replace(unfinished, path)  # an interrupted save leaves the old file as it was


def load(path):
    """Read a safetensors file: a dict from names to NumPy arrays."""
    import safetensors.numpy

    try:
        return safetensors.numpy.load_file(path)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is not a whole safetensors file: {error}") from error
