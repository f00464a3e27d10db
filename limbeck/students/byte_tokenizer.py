"""A tokenizer whose tokens are the 256 bytes."""

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from limbeck.core.token_bytes import byte_letters

PAD, BOS, EOS = "<|pad|>", "<|begin|>", "<|end|>"
PAD_ID, BOS_ID, EOS_ID = 256, 257, 258


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """UTF-8 bytes as tokens: byte b has id b; 256 pads, 257 begins a text, 258 ends one.

    Every text comes back as it was from `decode(ids, skip_special_tokens=True)`. Saved, it is a byte-level
    BPE without merges, which plain `AutoTokenizer` loads. It puts the begin token before a text, so
    that a model predicts every byte, the first one too.
    """
    letters = byte_letters()
    tokenizer = Tokenizer(models.BPE(vocab={letter: byte[0] for letter, byte in letters.items()}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in (PAD, BOS, EOS)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, BOS_ID)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        clean_up_tokenization_spaces=False,
    )
