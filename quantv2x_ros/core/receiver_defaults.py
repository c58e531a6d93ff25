# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What receivers accept unless they are told otherwise; senders compare themselves with it."""

#: How far a stamp may lie in the future by the receiver's clock, seconds.
CLOCK_TOLERANCE = 0.5
#: Oldest sweep that is fused, against the receiver's own, seconds.
PEER_TIMEOUT = 0.3
#: Largest standard deviations of a sender's position on the ground [m] and heading [degrees].
MAX_POSITION_SIGMA, MAX_HEADING_SIGMA = 2.0, 3.0
