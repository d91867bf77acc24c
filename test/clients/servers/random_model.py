"""A model that says nothing of sense, the same for everybody: random weights and a vocabulary of a few hundred tokens."""

import numpy as np
from gguf import GGUFWriter, TokenType

WIDTH, LAYERS, HEADS, INNER, CONTEXT = 64, 2, 4, 128, 65536
SPECIAL = ["<unk>", "<s>", "</s>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
WORDS = ["▁", "▁the", "▁a", "▁Grüße", "▁👋🏽", "▁日本", "ing", ".", ",", "\n", "▁day", "▁night", "▁sun", "▁moon"]
LETTERS = [chr(code) for first in "aA" for code in range(ord(first), ord(first) + 26)]
TEMPLATE = """{% for message in messages %}{{ message.role }}: {{ message.content }}
{% endfor %}assistant: """


def write(path: str) -> None:
    random = np.random.default_rng(7)
    tokens = SPECIAL + BYTES + WORDS + LETTERS
    types = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL]
    types += [TokenType.BYTE] * len(BYTES) + [TokenType.NORMAL] * (len(WORDS) + len(LETTERS))

    file = GGUFWriter(path, "llama")
    file.add_name("random")
    file.add_context_length(CONTEXT)
    file.add_embedding_length(WIDTH)
    file.add_block_count(LAYERS)
    file.add_feed_forward_length(INNER)
    file.add_head_count(HEADS)
    file.add_head_count_kv(HEADS)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_rope_dimension_count(WIDTH // HEADS)
    file.add_vocab_size(len(tokens))
    file.add_tokenizer_model("llama")
    file.add_token_list(tokens)
    file.add_token_types(types)
    file.add_token_scores([-float(index) for index in range(len(tokens))])
    file.add_unk_token_id(0)
    file.add_bos_token_id(1)
    file.add_eos_token_id(2)
    file.add_chat_template(TEMPLATE)

    def add(name: str, *shape: int, scale: float = 0.3) -> None:
        file.add_tensor(name, (random.standard_normal(shape) * scale).astype(np.float32))

    add("token_embd.weight", len(tokens), WIDTH, scale=1)
    output = random.standard_normal((len(tokens), WIDTH)).astype(np.float32)
    output[: len(SPECIAL)] = 0  # It comes to no end by itself.
    output[len(SPECIAL) : len(SPECIAL) + len(BYTES)] *= 0.3
    file.add_tensor("output.weight", output)
    file.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    for layer in range(LAYERS):
        for norm in ("attn_norm", "ffn_norm"):
            file.add_tensor(f"blk.{layer}.{norm}.weight", np.ones(WIDTH, np.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{layer}.{name}.weight", WIDTH, WIDTH)
        add(f"blk.{layer}.ffn_gate.weight", INNER, WIDTH)
        add(f"blk.{layer}.ffn_up.weight", INNER, WIDTH)
        add(f"blk.{layer}.ffn_down.weight", WIDTH, INNER)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
