"""A vision-language model asked in the plainest way, and pictures to show it."""

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor


def picture(seed, width=96, height=96):
    """Coloured blocks, so that pictures stay different when they are scaled."""
    pixels = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST)


class Plain:
    """One prompt at a time, by the processor's own chat template call, without padding, caches or features kept."""

    def __init__(self, folder):
        self.processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
        self.model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
        self.model.eval()

    def inputs(self, parts, behind=""):
        content = [{"type": "text", "text": p} if isinstance(p, str) else {"type": "image", "image": p} for p in parts]
        told = {"enable_thinking": False} if "enable_thinking" in self.processor.chat_template else {}
        turn = [{"role": "user", "content": content}]
        text = self.processor.apply_chat_template(turn, add_generation_prompt=True, tokenize=False, **told)
        pictures = [part for part in parts if not isinstance(part, str)]
        special = not (self.processor.tokenizer.bos_token and text.startswith(self.processor.tokenizer.bos_token))
        return self.processor(
            text=[text + behind], images=pictures or None, return_tensors="pt", add_special_tokens=special
        )

    def log_probs(self, parts, behind=""):
        """Over the whole vocabulary, of the token after the prompt."""
        with torch.inference_mode():
            logits = self.model(**self.inputs(parts, behind), use_cache=False).logits[0, -1]
        return torch.log_softmax(logits.double(), dim=-1).numpy()

    def tokens(self, words):
        return self.processor.tokenizer(words, add_special_tokens=False)["input_ids"]

    def generated(self, parts, most):
        inputs = self.inputs(parts)
        with torch.inference_mode():
            out = self.model.generate(**inputs, max_new_tokens=most, do_sample=False, num_beams=1)
        return out[0, inputs["input_ids"].shape[1] :].tolist()
