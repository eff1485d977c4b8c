"""A model that the emulated device of a dry run can carry, with random weights."""

import json
import os

CONFIG = {
    "model_type": "llama",
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "rope_theta": 1e4,
    "torch_dtype": "bfloat16",
}
FLAGS = {"max-num-batched-tokens": "64", "max-num-seqs": "4", "kv-memory": "8MiB"}


def write(folder):
    """The value of --model."""
    path = os.path.join(folder, "config.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(CONFIG, file)
    return "dummy:" + path
