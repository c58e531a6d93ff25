# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What surrounds the program: its files, its companions, the middleware, the terminal.

* provenance: ProvenanceError, Provenance.
* resources: ResourceError.
* typed_yaml: TypedYamlError.
* workspace: WorkspaceError.
"""
