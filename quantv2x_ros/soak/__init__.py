# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Long runs of the real nodes over a bad channel.

* attacker: Attacker.
* flood: FloodError, FloodSettings, FloodPeriod.
* observer: SoakObserver.
* report: DropLedger.
* run: SoakError, SoakSettings.
"""
