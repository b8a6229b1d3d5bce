import sys

import numpy as np
from numpy.typing import NDArray

from eas_grpc import serving


@serving.model
def brightness(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """How bright each image is on average: float32 [N, pixels] in, float32 [N] out."""
    return np.asarray(images.mean(axis=1))


models = serving.Models(brightness)

if __name__ == "__main__":
    sys.exit(serving.run(models.register, host="0.0.0.0", port=50051))  # noqa: S104
