"""Tokenizers of the usual families, trained in a moment on source of the standard library."""

import json
from functools import cache

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from limbeck.rows.standard_library import standard_library_files

SPECIAL = ["<unk>", "<s>", "</s>"]
_TRAINED_ON = 60_000  # characters: words are learnt, and training stays below half a second


@cache
def library_text(size=_TRAINED_ON):
    """The first characters of the held-out files, which are on every machine."""
    return "\n".join(file.text for file in standard_library_files() if not file.heldout)[:size]


@cache
def byte_level(size, *, begin=False, composes=False):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if composes:
        tokenizer.normalizer = normalizers.NFC()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return _trained(tokenizer, trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet), begin)


@cache
def sentencepiece(size, *, begin=True):
    """BPE over whole texts with spaces written as marks; unknown characters fall back to bytes."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    return _fallen_back(_trained(tokenizer, trainers.BpeTrainer(vocab_size=size), begin=False), begin)


def _fallen_back(trained, begin):
    """As models are published: a prefix mark, no split into words, an id for every byte."""
    model = json.loads(trained.backend_tokenizer.to_str())["model"]
    vocabulary, merges = dict(model["vocab"]), [tuple(merge) for merge in model["merges"]]
    for byte in range(256):
        vocabulary.setdefault(f"<0x{byte:02X}>", len(vocabulary))
    tokenizer = Tokenizer(
        models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(SPECIAL)
    return _wrapped(tokenizer, begin)


@cache
def unigram(size):
    """Composes characters and drops white space, as T5's."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    tokenizer.decoder = decoders.Metaspace()
    return _trained(tokenizer, trainers.UnigramTrainer(vocab_size=size, unk_token="<unk>"), begin=False)


@cache
def wordpiece(size):
    """Lower-cases, strips accents and drops white space, as BERT's."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return _trained(tokenizer, trainers.WordPieceTrainer(vocab_size=size), begin=False)


def words_of(*tokens, begin=False):
    """A tokenizer that cuts text into these words, longest first, and all else into characters."""
    alphabet = [chr(code) for code in range(32, 127)]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys([*SPECIAL, *tokens, *alphabet]))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    longest = sorted(tokens, key=len, reverse=True)
    pattern = "|".join([*longest, r"[\s\S]"])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(SPECIAL)
    return _wrapped(tokenizer, begin)


FAMILIES = {
    "byte-level BPE": lambda: byte_level(600),
    "larger byte-level BPE": lambda: byte_level(2_000, composes=True),
    "SentencePiece": lambda: sentencepiece(500),
    "Unigram": lambda: unigram(400),
    "WordPiece": lambda: wordpiece(500),
}


def _trained(tokenizer, trainer, begin):
    trainer.special_tokens = SPECIAL
    trainer.show_progress = False
    tokenizer.train_from_iterator(library_text().split("\n"), trainer)
    return _wrapped(tokenizer, begin)


def _wrapped(tokenizer, begin):
    if begin:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", SPECIAL.index("<s>"))]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
