"""What `train.py` trains with: our settings for a minute on two cores, and the original course's."""

DEFAULTS = {  # ours, for a minute on two cores; then the original course's
    "resnet9": {
        "epochs": 24,
        "batch_size": 128,
        "lr": 0.002,
        "weight_decay": 0.001,
        "schedule": "cosine",
    },
    "lstm": {
        "epochs": 1,
        "batch_size": 16,
        "lr": 0.003,
        "weight_decay": 0.0,
        "seq_len": 40,
        "embedding": 64,
        "hidden": 128,
        "layers": 1,
    },
    "transformer": {
        "epochs": 1,
        "batch_size": 16,
        "lr": 0.002,
        "weight_decay": 0.0,
        "seq_len": 40,
        "embedding": 64,
        "hidden": 64,
        "layers": 2,
    },
}
CHARS = {  # the first text within a minute or two, with operators of one's own
    "lstm": {
        "epochs": 4,
        "batch_size": 32,
        "lr": 0.005,
        "weight_decay": 0.0,
        "seq_len": 64,
        "embedding": 32,
        "hidden": 128,
        "layers": 1,
    },
    "transformer": {
        "epochs": 4,
        "batch_size": 32,
        "lr": 0.003,
        "weight_decay": 0.0,
        "seq_len": 64,
        "embedding": 64,
        "hidden": 128,
        "layers": 2,
    },
}
COURSE = {
    "resnet9": {"epochs": 10, "batch_size": 128, "lr": 0.001, "weight_decay": 0.001},
    "lstm": {
        "epochs": 10,
        "batch_size": 16,
        "lr": 4.0,
        "weight_decay": 0.0,
        "seq_len": 40,
        "embedding": 30,
        "hidden": 10,
        "layers": 2,
        "optimizer": "SGD",
        "clip": 0.25,
    },
    "transformer": {
        "epochs": 10,
        "batch_size": 16,
        "lr": 0.003,
        "weight_decay": 0.0,
        "seq_len": 20,
        "embedding": 20,
        "hidden": 32,
        "layers": 1,
    },
}


def configuration(args):
    """What a checkpoint must agree with: the defaults, the course's settings, the wishes."""
    config = {"kind": args.kind, "optimizer": "Adam", "clip": None, "seed": args.seed}
    config |= (CHARS if args.chars else COURSE if args.course else DEFAULTS)[args.kind]
    for key in (
        "epochs",
        "batch_size",
        "lr",
        "seq_len",
        "embedding",
        "hidden",
        "layers",
        "clip",
        "optimizer",
    ):
        if getattr(args, key) is not None:
            config[key] = getattr(args, key)
    if args.kind != "resnet9":
        config["max_lines"], config["chars"] = args.max_lines, args.chars
    return config
