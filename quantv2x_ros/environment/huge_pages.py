# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Huge pages for what a process allocates: maps of megabytes, written anew every sweep."""

#: What makes glibc (2.35 and later) ask for huge pages, where the kernel gives them on request
#: (``/sys/kernel/mm/transparent_hugepage/enabled``: madvise). With pages of 4 KiB a frame spends a
#: sixth to a third of its time on page faults and address translation, in virtual machines above
#: all. Read when a process starts; a value that is there already is kept.
HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
