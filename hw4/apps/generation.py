"""How a language model writes, two extras: draw among the likeliest only, and compute no token twice.

python apps/train.py transformer --chars --minutes 2      first train one
python apps/generation.py --prompt "She " --top-k 5       then let it write, both ways
"""

import argparse
import os
import sys
import time

HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
for folder in (os.path.join(HOME, "python"), HOME):
    if folder not in sys.path:
        sys.path.append(folder)

import numpy as np

import needle as ndl
from apps import train
from apps.checkpoints import Trouble, tensor


def top_k(scores, k, temperature=1.0):
    """The probabilities with which the next token is drawn, among the k likeliest.

    Args:
        scores: NumPy array (V,), the logits; -inf for a token that must not come.
        k: how many tokens may come; of equal scores those with the smaller ids. All for k >= V.
        temperature: the scores are divided by it first; above 1 makes bolder, below 1 safer.

    Returns:
        NumPy array (V,) of float64, whose sum is 1: softmax over those k, 0 for all others.
    """
    ### BEGIN YOUR SOLUTION hw4/top_k
    raise NotImplementedError("hw4/top_k: top_k is yours to write")
    ### END YOUR SOLUTION


class CachedModel:
    """A LanguageModel with a Transformer that goes on where it stopped: no token is computed twice.

    An earlier token never sees a later one, so nothing that was computed for it changes. What the
    later ones need of it are its keys and values in each layer: they are kept.

    Args:
        model: LanguageModel with seq_model="transformer", of one's own; it is put into evaluation.
    """

    def __init__(self, model):
        model.eval()
        self.model, self.limit = model, model.seq_model.sequence_len
        self.seen = 0  # tokens so far
        ### BEGIN YOUR SOLUTION hw4/kv_cache
        raise NotImplementedError("hw4/kv_cache: CachedModel.__init__ is yours to write")
        ### END YOUR SOLUTION

    def __call__(self, ids):
        """The next tokens, NumPy array (T, B) -> their logits, Tensor (T * B, words).

        They are those that `model` computes for these places from all tokens so far. Only the new
        tokens go through the model's linear layers.
        """
        T, _ = ids.shape
        if self.seen + T > self.limit:
            raise ValueError(
                f"{self.seen} tokens and {T} more are more than this Transformer's {self.limit} "
                "positions: begin anew with fewer"
            )
        ### BEGIN YOUR SOLUTION hw4/kv_cache
        raise NotImplementedError("hw4/kv_cache: CachedModel.__call__ is yours to write")
        ### END YOUR SOLUTION

    def attend(self, layer, x):
        """An AttentionLayer on new tokens x (B, T, F), which also see all tokens before -> (B, T, F).

        (Yours to use or not.)
        """
        ### BEGIN YOUR SOLUTION hw4/kv_cache
        raise NotImplementedError("hw4/kv_cache: CachedModel.attend is yours to write or not")
        ### END YOUR SOLUTION


# ------------------------------------------------------------------------------------------ given


def write(model, ids, count, k, temperature, random, cached=True):
    """Append `count` tokens to the list `ids`, one at a time -> how many tokens were computed.

    At the end of the model's positions the text begins anew with its last half.
    """
    device, limit = model.parameters()[0].device, model.seq_model.sequence_len
    memory, computed, first, fed = None, 0, max(0, len(ids) - limit // 2), 0
    for _ in range(count):
        if len(ids) - first > limit:
            first, memory = len(ids) - limit // 2, None
        if memory is None:
            memory, fed = CachedModel(model) if cached else None, first
        new = np.array(ids[fed if cached else first :])[:, None]
        logits = memory(new) if cached else model(tensor(new, device))[0]
        computed, fed = computed + len(new), len(ids)
        ids.append(int(random.choice(logits.shape[1], p=top_k(logits.numpy()[-1], k, temperature))))
    return computed


def main(arguments=None):
    """Let the last Transformer that train.py trained write, with and without the memory."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--prompt", default="She ")
    parser.add_argument("--length", type=int, default=300, help="how many characters")
    parser.add_argument("--top-k", type=int, default=5)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    run = train.Run(train.parse(["transformer", "--chars", "--resume"]))
    run.model.eval()
    ndl.kernels(run.args.kernels)
    dictionary = run.data.corpus.dictionary
    letters = [dictionary.word2idx.get(c) for c in args.prompt.replace(" ", train.BLANK)]
    if not letters or None in letters:
        raise Trouble(f"the prompt {args.prompt!r} needs characters of the text, at least one")
    for cached in (False, True):
        ids, began = list(letters), time.perf_counter()
        random = np.random.RandomState(args.seed)
        computed = write(run.model, ids, args.length, args.top_k, args.temperature, random, cached)
        took = time.perf_counter() - began
        name = "with the memory   " if cached else "without the memory"
        print(f"{name}: {computed} tokens computed, {args.length / took:.0f} characters a second")
    shown = {"<eos>": "\n", train.BLANK: " "}
    print("".join(shown.get(c, c) for c in (dictionary.idx2word[k] for k in ids)))


if __name__ == "__main__":
    try:
        main()
    except (Trouble, FileNotFoundError, ValueError) as error:
        sys.exit(f"generation.py: {error}")
