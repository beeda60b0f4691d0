"""The -k expressions that the public course's notebooks tell students to type, by problem.

Also a pytest plugin: of the homework in the current folder it prints, as JSON, which tests each of
them selects, and which tests are a problem's own.
"""

import json
from pathlib import Path

from _pytest.mark import KeywordMatcher
from _pytest.mark.expression import Expression
from coursekit.core import syllabus

ROOT = Path(__file__).resolve().parents[2]
COMPACT_SETITEM = "(compact or setitem)"
OPERATORS = "(ewise_fn or ewise_max or log or exp or tanh or (scalar and not setitem))"

SELECTIONS = {
    "hw0/add": ["add"],
    "hw0/parse_mnist": ["parse_mnist"],
    "hw0/softmax_loss": ["softmax_loss"],
    "hw0/softmax_regression_epoch": ["softmax_regression_epoch and not cpp"],
    "hw0/nn_epoch": ["nn_epoch"],
    "hw0/softmax_regression_epoch_cpp": ["softmax_regression_epoch_cpp"],
    "hw1/forward": ["forward"],
    "hw1/backward": ["backward"],
    "hw1/topo_sort": ["topo_sort"],
    "hw1/compute_gradient": ["compute_gradient"],
    "hw1/softmax_loss_ndl": ["softmax_loss_ndl"],
    "hw1/nn_epoch_ndl": ["nn_epoch_ndl"],
    "hw2/init": ["test_init"],
    "hw2/nn_linear": ["test_nn_linear"],
    "hw2/nn_relu": ["test_nn_relu"],
    "hw2/nn_sequential": ["test_nn_sequential"],
    "hw2/op_logsumexp": ["test_op_logsumexp"],
    "hw2/op_logsoftmax": ["test_op_logsoftmax"],
    "hw2/nn_softmax_loss": ["test_nn_softmax_loss"],
    "hw2/nn_layernorm": ["test_nn_layernorm"],
    "hw2/nn_flatten": ["test_nn_flatten"],
    "hw2/nn_batchnorm": ["test_nn_batchnorm"],
    "hw2/nn_dropout": ["test_nn_dropout"],
    "hw2/nn_residual": ["test_nn_residual"],
    "hw2/optim_sgd": ["test_optim_sgd"],
    "hw2/optim_adam": ["test_optim_adam"],
    "hw2/flip_horizontal": ["flip_horizontal"],
    "hw2/random_crop": ["random_crop"],
    "hw2/mnist_dataset": ["test_mnist_dataset"],
    "hw2/dataloader": ["test_dataloader"],
    "hw2/mlp_resnet": ["test_mlp"],
    "hw3/ndarray_python_ops": [
        "(permute or reshape or broadcast or getitem) and cpu and not compact"
    ],
    "hw3/ndarray_cpu_compact_setitem": [f"{COMPACT_SETITEM} and cpu"],
    "hw3/ndarray_cpu_ops": [f"{OPERATORS} and cpu"],
    "hw3/ndarray_cpu_reductions": ["reduce and cpu"],
    "hw3/ndarray_cpu_matmul": ["matmul and cpu"],
    "hw3/ndarray_cuda_compact_setitem": [f"{COMPACT_SETITEM} and cuda"],
    "hw3/ndarray_cuda_ops": [f"{OPERATORS} and cuda"],
    "hw3/ndarray_cuda_reductions": ["reduce and cuda"],
    "hw3/ndarray_cuda_matmul": ["matmul and cuda"],
    "hw4/new_nd_backend": ["nd_backend"],
    "hw4/cifar10": ["test_cifar10"],
    "hw4/new_ops": ["pad_forward", "flip", "dilate"],
    "hw4/conv_forward": ["op_conv and forward", "kaiming_uniform", "nn_conv_forward"],
    "hw4/conv_backward": ["op_conv and backward", "nn_conv_backward"],
    "hw4/resnet9": ["resnet9", "train_cifar10"],
    "hw4/rnn": ["test_rnn"],
    "hw4/lstm": ["test_lstm"],
    "hw4/ptb": ["ptb"],
    "hw4/language_model": ["language_model_implementation", "language_model_training"],
}


def pytest_collection_modifyitems(items):
    matchers = [(item, KeywordMatcher.from_item(item)) for item in items]

    def select(expression, file=None):
        chosen = Expression.compile(expression).evaluate
        return [
            item.nodeid
            for item, matcher in matchers
            if chosen(matcher) and (file is None or item.path == Path.cwd() / file)
        ]

    homework = syllabus.load(ROOT).homework(Path.cwd().name)
    public = {words for problem in homework.problems for words in SELECTIONS.get(problem.id, [])}
    found = {
        "selected": {expression: select(expression) for expression in public},
        "own": {problem.id: select(problem.select, problem.tests) for problem in homework.problems},
    }
    print(f"\n{json.dumps(found)}")
