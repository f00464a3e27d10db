"""A tokenizer with one token a character, so that ids and masks can be written out by hand."""

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

# Ids: <pad> 0, <s> 1, </s> 2, <|end|> 3, <|user|> 4, <|assistant|> 5, <unk> 6, then the letters from 7 on.
SPECIAL = ("<pad>", "<s>", "</s>", "<|end|>", "<|user|>", "<|assistant|>", "<unk>")
LETTERS = "abcdefghijklmnopqrstuvwxyz \n:,.()#ABCEHPRSU0123456789"

# Llama-3-like: a mark for the role, the content, a mark for the end and a line break.
TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def ids_of(text):
    """Ids of plain letters, one each: `a` is 7, `b` is 8."""
    return [len(SPECIAL) + LETTERS.index(letter) for letter in text]


def letter_tokenizer(*, bos=False, eos="</s>", pad="<pad>", template=None, closing=False):
    vocabulary = {token: number for number, token in enumerate((*SPECIAL, *LETTERS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(list(SPECIAL))
    if bos or closing:
        single = ("<s> " if bos else "") + "$A" + (" </s>" if closing else "")
        tokenizer.post_processor = processors.TemplateProcessing(
            single=single, pair=f"{single} $B:1 </s>:1", special_tokens=[("<s>", 1), ("</s>", 2)]
        )
    names = {"eos_token": eos, "pad_token": pad, "unk_token": "<unk>"}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **{k: v for k, v in names.items() if v})
    fast.chat_template = template
    return fast
