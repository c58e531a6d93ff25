# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The integers that quantized weights may be, so that every processor multiplies them exactly.

x86 processors without VNNI multiply bytes by VPMADDUBSW: unsigned activations times signed weights
of two neighbouring input channels, both products added in 16 bits, with saturation. Only these sums
are widened to 32 bits and added up, so a pair is all that can overflow, whatever the kernel's size,
stride or groups. It is within 2 * 255 * |w|, which 32,767 holds up to |w| = 64: the widest
symmetric grid of whole bits is that of 7, ±63. VNNI, AMX and ARM's dot products add up in 32 bits,
where the largest layer, of 9 * 384 products, stays below 2**26.

Tensors have no zero point, so that what a convolution is padded with is 0. Signed activations are
moved by 128 into the same range before they are multiplied: the same bound holds.
"""

from __future__ import annotations

#: Greatest unsigned activation.
ACTIVATION_LIMIT = 255
#: Greatest magnitude of a weight by its bits, all stored in 8; those of 8 keep one for the pair.
WEIGHT_LIMITS = {4: 7, 8: 63}
#: Greatest magnitude of a weight that is multiplied exactly without VNNI, and with it.
PAIR_LIMIT = (2**15 - 1) // (2 * ACTIVATION_LIMIT)
BYTE_LIMIT = 128
