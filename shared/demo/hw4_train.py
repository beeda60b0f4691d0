"""Train ResNet9 and the LSTM and Transformer language models, and let the last two write.

Run by `make demo` inside the solved tree of homework 4, or by hand there:
`python ../shared/demo/hw4_train.py`. Each trains for about half a minute on the offline samples.
"""

import argparse
import json
import math
import os
import sys
import time

sys.path[:0] = ["./python", "./apps", "."]
from apps import train  # noqa: E402

TITLES = {"resnet9": "ResNet9", "lstm": "LSTM", "transformer": "Transformer"}
PROMPT = "she was"


def one(kind, minutes):
    """Train one network -> (its row of the closing table, text that it wrote or None)."""
    began = time.monotonic()
    checkpoint = os.path.join("checkpoints", f"demo-{kind}.safetensors")
    arguments = [kind, "--minutes", str(minutes), "--checkpoint", checkpoint, "--fresh"]
    arguments += ["--epochs", "3"] if kind == "resnet9" else []
    if not sys.stdout.isatty():
        arguments.append("--quiet")
    run = train.main(arguments)
    loss, accuracy = train.evaluate(run.data, run.model, run.device)
    text = None
    if kind == "resnet9":
        result = f"test accuracy {accuracy:.1%}"
    else:
        words = len(run.data.corpus.dictionary)
        result = f"test perplexity {math.exp(loss):.0f} (untrained: {words})"
        text = train.write(run, PROMPT, 40)
    seconds = time.monotonic() - began
    return {
        "what": f"hw4: {TITLES[kind]}",
        "data": run.title,
        "result": result,
        "seconds": seconds,
    }, text


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="a few seconds each")
    args = parser.parse_args()
    rows, texts = [], {}
    for kind in TITLES:
        row, texts[kind] = one(kind, 0.1 if args.short else 0.5)
        rows.append(row)
    for kind, text in texts.items():
        if text:
            print(f"\n{kind}, asked to go on after {PROMPT!r}:\n{text}")
    out = os.environ.get("NEEDLE_DEMO_ROWS")
    if out:
        with open(out, "w", encoding="utf-8") as file:
            json.dump(rows, file)


if __name__ == "__main__":
    main()
