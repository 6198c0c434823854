"""Gray images as a dataset's files hold them: PNG or JPEG bytes.

encode_image(image, jpeg_quality) -> bytes      decode_image(encoded, of) -> gray H x W uint8
"""

from __future__ import annotations

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flywheel.errors import Rejected
from flywheel.reasons import Reason


def encode_image(image: NDArray[np.uint8], jpeg_quality: int | None = None) -> bytes:
    """PNG bytes of a gray image, or JPEG at a quality (1-100)."""
    if jpeg_quality is None:
        done, encoded = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    else:
        done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])
    if not done:
        raise ValueError(f"an image of shape {image.shape} cannot be encoded")
    return encoded.tobytes()


def decode_image(encoded: pa.Scalar, of: str) -> NDArray[np.uint8]:
    """Gray H x W, uint8, from a binary cell of a table. Raises Rejected(IMAGE_UNREADABLE), which names `of`."""
    content = np.frombuffer(encoded.as_buffer(), np.uint8)
    decoded = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE) if len(content) else None
    if decoded is None:
        raise Rejected(Reason.IMAGE_UNREADABLE, of)
    return np.asarray(decoded, dtype=np.uint8)
