"""A BERT encoder in miniature, for tests of the encoder reader."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer as Library
from tokenizers import models, pre_tokenizers, processors

from tests.trainer.office import question
from trainer.encoder import Encoder, EncoderConfig


def vocabulary(texts: Iterable[str], size: int = 400) -> dict[str, int]:
    """Letters and the most frequent words. The library's trainer breaks ties by chance, so it is not used."""
    cut = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    words = Counter(word for text in texts for word, _ in cut(text))
    letters = sorted({letter for word in words for letter in word})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters)]
    pieces += sorted((word for word in words if len(word) > 1), key=lambda word: (-words[word], word))
    return {piece: number for number, piece in enumerate(pieces[:size])}


def bert_folder(folder: Path) -> Path:
    """A BERT encoder in miniature, in Hugging Face's layout, that knows the words of the office's questions."""
    folder.mkdir()
    texts = [str(question(seed)[key]) for seed in range(40) for key in ("question", "context")]
    library = Library(models.WordPiece(vocabulary(texts), unk_token="[UNK]"))
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    library.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    library.save(str(folder / "tokenizer.json"))
    torch.manual_seed(2)
    size = EncoderConfig(vocabulary=library.get_vocab_size(), width=32, layers=2, heads=4, inner=64, positions=384)
    tensors = {}
    names = {"out": "attention.output.dense", "norm_attention": "attention.output.LayerNorm",
             "up": "intermediate.dense", "down": "output.dense", "norm_feed": "output.LayerNorm"}  # fmt: skip
    tables = {"words": "word_embeddings", "places": "position_embeddings", "segments": "token_type_embeddings"}
    for name, tensor in Encoder(size).state_dict().items():
        first, *rest = name.split(".")
        if first == "layers" and rest[1] == "qkv":
            for part, piece in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                tensors[f"encoder.layer.{rest[0]}.attention.self.{part}.{rest[2]}"] = piece.contiguous()
        elif first == "layers":
            tensors[f"encoder.layer.{rest[0]}.{names[rest[1]]}.{rest[2]}"] = tensor
        else:
            tensors[f"embeddings.{tables.get(first, 'LayerNorm')}.{rest[0]}"] = tensor
    save_file(tensors, folder / "model.safetensors")
    shape = {"model_type": "bert", "hidden_act": "gelu", "vocab_size": size.vocabulary, "hidden_size": 32,
             "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "max_position_embeddings": 384,
             "type_vocab_size": 2, "layer_norm_eps": 1e-12}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(shape))
    return folder
