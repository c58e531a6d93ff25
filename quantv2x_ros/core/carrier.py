# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What detections should not be: the vehicle that carries the sensor."""

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.boxes import FloatArray, check_boxes

# A sensor stands at most so far above the roof of the vehicle that carries it [m], over the middle
# half of its width, and not at the very ends of its length.
CLEARANCE = 1.3
ACROSS = 0.25
ALONG = 0.4


def covers_sensor(boxes: FloatArray) -> npt.NDArray[np.bool_]:
    """Tell which boxes are of the vehicle that carries the sensor.

    Its LiDAR stands on its roof, so that the body's box is below the origin, which is over the
    middle of its width, and reaches up to about the origin's height. A roadside unit is no such
    thing: what passes beside its pole is off to a side, and what passes below a mast arm (5 m and
    more above the road) ends further below.

    Args:
        boxes: (N, 7) in the sensor's frame.

    Returns:
        (N,) bool.
    """
    check_boxes(boxes)
    cos, sin = np.cos(boxes[:, 6]), np.sin(boxes[:, 6])
    along = boxes[:, 0] * cos + boxes[:, 1] * sin
    across = boxes[:, 1] * cos - boxes[:, 0] * sin
    over: npt.NDArray[np.bool_] = np.abs(along) <= ALONG * boxes[:, 3]
    over &= np.abs(across) <= ACROSS * boxes[:, 4]
    over &= boxes[:, 2] + boxes[:, 5] / 2 > -CLEARANCE
    return over
