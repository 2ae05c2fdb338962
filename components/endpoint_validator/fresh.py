"""A process that loads one SavedModel and answers on standard output, for `server.fresh`.

Each line of standard input is a JSON list of images in base64; each answer is a JSON object of
columns, or of `error`.
"""

import base64
import json
import os
import sys
from typing import Any


def main(folder: str) -> None:
    """Answers until standard input ends."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is not an answer
    import tensorflow as tf

    from components.endpoint_validator.server import plain

    answers = tf.saved_model.load(folder).signatures["serving_default"]
    for line in sys.stdin:
        images = [base64.b64decode(image) for image in json.loads(line)]
        try:
            found = answers(image_bytes=tf.constant(images, tf.string))
            told: dict[str, Any] = {key: plain(value.numpy()) for key, value in found.items()}
        except tf.errors.OpError as error:
            told = {"error": " ".join(str(error).split())[:300]}
        out.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
