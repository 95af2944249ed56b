"""Code for the model card that uses transformers alone."""

from __future__ import annotations

# Lines of Markdown.
MEAN_POOLING = """Its head reads the mean of all tokens, while the class above reads the first one.
So compute `logits` from a text's `inputs` of the tokenizer by

```python
mask = tf.cast(inputs["attention_mask"], tf.float32)[..., None]
states = model.bert(**inputs).last_hidden_state
mean = tf.reduce_sum(states * mask, 1, keepdims=True) / tf.reduce_sum(mask, 1, keepdims=True)
logits = model.classifier(model.bert.pooler(mean))
```
""".splitlines()
