"""Tiny models and tokenizers for tests: built in milliseconds, equal for equal arguments, in eval mode.

Weights are spread wider than usual, so that distributions are far from uniform and a wrong
loss or a wrong head shows.
"""

import string
from collections.abc import Mapping
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

VOCABULARY = 320
"""Default vocabulary of the models and of the tokenizers here: ids of the latter fit the former."""

PAD, BOS, EOS, UNK = 0, 1, 2, 3
"""Ids of the special tokens in `tiny_tokenizer` and `tiny_seq2seq_tokenizer`."""

TEXTS = (
    "the cat sat on the mat and the dog sat on the cat",
    "a film of great warmth and little sense",
    "one and two are three, and three and four are seven",
    "the teacher says what the student must learn, and the student learns what the teacher says",
)
"""What the tokenizers were trained on."""

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] }}{{ eos_token }}"
    "{% endgeneration %}{% else %}{{ message['content'] }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def tiny_llama(
    *, vocab: int = VOCABULARY, layers: int = 2, width: int = 32, seed: int = 0, **config: Any
) -> LlamaForCausalLM:
    """A causal model with grouped-query attention (4 heads, 2 key-value heads), head not tied."""
    settings = {
        "vocab_size": vocab,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "initializer_range": 0.2,
        "tie_word_embeddings": False,
        "pad_token_id": PAD,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
    }
    return seeded(LlamaForCausalLM, LlamaConfig(**(settings | config)), seed)


def tiny_mixtral(*, vocab: int = VOCABULARY, seed: int = 0, **config: Any) -> MixtralForCausalLM:
    """A causal model of 2 layers with 4 experts each, of which a token reads 2."""
    settings = {
        "vocab_size": vocab,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "max_position_embeddings": 256,
        "initializer_range": 0.2,
        "pad_token_id": PAD,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
    }
    return seeded(MixtralForCausalLM, MixtralConfig(**(settings | config)), seed)


def tiny_chain(following: Mapping[int, int], *, vocab: int = VOCABULARY) -> LlamaForCausalLM:
    """A causal model that writes `following[t]` after token t, whatever came before; `EOS` after others."""
    width = vocab + -vocab % 8
    model = tiny_llama(vocab=vocab, layers=1, width=width)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(vocab, width))
        model.lm_head.weight.zero_()
        for token in range(vocab):
            model.lm_head.weight[following.get(token, EOS), token] = 1.0
    return model


def tiny_gpt2(*, vocab: int = VOCABULARY, layers: int = 2, width: int = 32, seed: int = 0) -> GPT2LMHeadModel:
    """A causal model of the older kind: positions in the loss, fused q, k and v, tied head."""
    config = GPT2Config(
        vocab_size=vocab,
        n_embd=width,
        n_layer=layers,
        n_head=4,
        n_positions=256,
        initializer_range=0.2,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
    )
    return seeded(GPT2LMHeadModel, config, seed)


def tiny_t5(
    *, vocab: int = VOCABULARY, layers: int = 2, width: int = 32, seed: int = 0, **config: Any
) -> T5ForConditionalGeneration:
    """A seq2seq model; its head is tied and scaled, as in the first T5."""
    settings = {
        "vocab_size": vocab,
        "d_model": width,
        "d_kv": width // 4,
        "d_ff": 2 * width,
        "num_layers": layers,
        "num_decoder_layers": layers,
        "num_heads": 4,
        "dropout_rate": 0.0,
        "pad_token_id": PAD,
        "eos_token_id": EOS,
        "decoder_start_token_id": PAD,
    }
    return seeded(T5ForConditionalGeneration, T5Config(**(settings | config)), seed)


def tiny_bart(
    *, vocab: int = VOCABULARY, layers: int = 2, width: int = 32, seed: int = 0
) -> BartForConditionalGeneration:
    """A seq2seq model with positions in the loss and a bias on its logits."""
    config = BartConfig(
        vocab_size=vocab,
        d_model=width,
        encoder_layers=layers,
        decoder_layers=layers,
        encoder_ffn_dim=2 * width,
        decoder_ffn_dim=2 * width,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        max_position_embeddings=128,
        init_std=0.2,
        dropout=0.0,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
        decoder_start_token_id=EOS,
        forced_eos_token_id=None,
    )
    return seeded(BartForConditionalGeneration, config, seed)


def tiny_bert_config(
    *, vocab: int = VOCABULARY, layers: int = 2, width: int = 32, **config: Any
) -> BertConfig:
    """The configuration of the encoders here."""
    settings = {
        "vocab_size": vocab,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "max_position_embeddings": 128,
        "initializer_range": 0.2,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    return BertConfig(**(settings | config))


def tiny_bert(*, seed: int = 0, **config: Any) -> BertModel:
    """An encoder without a head."""
    return seeded(BertModel, tiny_bert_config(**config), seed)


def tiny_masked_bert(*, seed: int = 0, **config: Any) -> BertForMaskedLM:
    """An encoder with a masked-language head, which is more than linear."""
    return seeded(BertForMaskedLM, tiny_bert_config(**config), seed)


def tiny_classifier(*, classes: int = 3, seed: int = 0, **config: Any) -> BertForSequenceClassification:
    """An encoder that scores classes."""
    return seeded(BertForSequenceClassification, tiny_bert_config(num_labels=classes, **config), seed)


def tiny_tokenizer(*, vocab: int = VOCABULARY) -> PreTrainedTokenizerFast:
    """Byte-level BPE with a chat template; takes any text, adds no special tokens by itself."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=["<pad>", "<s>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


def tiny_seq2seq_tokenizer(*, vocab: int = VOCABULARY) -> PreTrainedTokenizerFast:
    """`tiny_tokenizer` that closes every text with `</s>`, as T5's does."""
    wrapped = tiny_tokenizer(vocab=vocab)
    wrapped.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", EOS)]
    )
    wrapped.chat_template = None
    return wrapped


def tiny_encoder_tokenizer() -> PreTrainedTokenizerFast:
    """Lower-case WordPiece with [CLS], [SEP] and token types, as BERT's; knows the words of `TEXTS`."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = list(string.ascii_lowercase + string.digits)
    words = list(dict.fromkeys(word for text in TEXTS for word in text.replace(",", "").split()))
    tokens = special + letters + [f"##{letter}" for letter in letters] + list(string.punctuation) + words
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", special.index("[CLS]")), ("[SEP]", special.index("[SEP]"))],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def seeded(kind: Any, config: Any, seed: int) -> Any:
    """A fresh model of class `kind`; the global random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(config).eval()


def random_ids(*shape: int, vocab: int = VOCABULARY, seed: int = 0) -> torch.Tensor:
    """Token ids, none of them special in `tiny_tokenizer`."""
    return torch.randint(UNK + 1, vocab, shape, generator=torch.Generator().manual_seed(seed))
