"""What a model of 7 billion parameters takes, by your accounting sheet, beside what was published.

`hw lab train-big apps/what_it_takes.py`. The model is Llama 2 7B; its form, its 2.0e12 tokens and its
184,320 hours of A100 with 80 GB are those of Touvron et al., "Llama 2", 2023. An A100 promises 312e12
operations a second with numbers of 16 bits.
"""

from train_big.accounting import (
    Decoder,
    activation_bytes,
    gradient_traffic,
    parameters,
    pipeline_bubble,
    state_bytes,
    tensor_traffic,
    training_operations,
)

SIZES = {"layers": 32, "width": 4096, "heads": 32, "head_width": 128, "key_heads": 32}
LLAMA_2_7B = Decoder(**SIZES, hidden=11008, words=32000, gated=True, norm_vectors=1)
TIME, TOKENS = 4096, 2.0e12
HOURS, OPERATIONS_PER_SECOND, MEMORY = 184_320, 312e12, 80e9
PUBLISHED = 6_738_415_616
"""Parameters, counted in the published weights."""


def main():
    numbers = parameters(LLAMA_2_7B)
    print(
        f"Llama 2 7B has {numbers:,} parameters; counted in the published weights: {PUBLISHED:,}\n"
    )

    print("GB on each rank, with one text of 4,096 words a rank; an A100 has 80:")
    print("ranks   stage 0   stage 1   stage 2   stage 3")
    for ranks in (1, 8, 64, 512):
        sizes = [state_bytes(numbers, ranks, stage) / 1e9 for stage in range(4)]
        print(f"{ranks:>5}" + "".join(f"{size:>10.1f}" for size in sizes))
    for checkpointed, words in ((False, "all kept"), (True, "inputs of blocks only")):
        size = activation_bytes(LLAMA_2_7B, 1, TIME, checkpointed) / 1e9
        print(f"and activations, {words}: {size:.1f} GB")

    operations = training_operations(LLAMA_2_7B, 1, TIME) * TOKENS / TIME
    seconds = operations / OPERATIONS_PER_SECOND
    print(f"\n{TOKENS:.1e} words take {operations:.2e} operations:")
    print(f"{seconds / 3600:,.0f} hours of an A100 that does what it promises, or one for")
    print(f"{seconds / 3600 / 24 / 365:.0f} years. It took {HOURS:,} hours: they did", end=" ")
    print(f"{seconds / 3600 / HOURS:.0%} of what they promise.\n")

    print("GB that a rank sends for a step, 64 ranks, one text each:")
    for stage, name in enumerate(
        ("data parallel", "sharded state", "and gradients", "and weights")
    ):
        print(f"  {name:<16}{gradient_traffic(numbers, 64, stage) / 1e9:>8.1f}")
    print(f"  {'tensor parallel':<16}{tensor_traffic(LLAMA_2_7B, 1, TIME, 64) / 1e9:>8.1f}")
    bubble = float(pipeline_bubble(8, 32))
    print(f"A pipeline of 8 stages with 32 micro-batches waits for {bubble:.0%} of its time.")


if __name__ == "__main__":
    main()
