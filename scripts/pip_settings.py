# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Words pip's configuration for uv, which reads none of it.

Packages come from where the person has told pip to find them: its configuration files and PIP_...
variables. Values go to uv through the environment, since addresses may hold passwords.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

# In the order of pip's own precedence, the last one wins.
_SECTIONS = ("global", "install", ":env:")

# pip's option, uv's variable, and what separates several values of that variable.
_VARIABLES = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "constraint": ("UV_CONSTRAINT", " "),
    "keyring-provider": ("UV_KEYRING_PROVIDER", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "client-cert": ("SSL_CLIENT_CERT", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
    "retries": ("UV_HTTP_RETRIES", " "),
    "proxy": ("ALL_PROXY", " "),
}
# pip's switches and uv's.
_SWITCHES = {"no-index": "--no-index", "no-cache-dir": "--no-cache", "pre": "--prerelease=allow"}
# What changes neither which packages are found nor how.
_WITHOUT_EFFECT = {
    "break-system-packages",
    "cache-dir",
    "compile",
    "config-file",
    "disable-pip-version-check",
    "exists-action",
    "format",
    "log",
    "no-color",
    "no-compile",
    "no-input",
    "no-python-version-warning",
    "no-warn-conflicts",
    "no-warn-script-location",
    "prefer-binary",
    "progress-bar",
    "quiet",
    "require-virtualenv",
    "root-user-action",
    "verbose",
}


class UnknownSettingError(ValueError):
    """An option of pip's configuration that uv has no word for; the message is its name."""


@dataclass
class UvSettings:
    """What makes uv find what pip would find."""

    arguments: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)


def read_config(listing: str) -> dict[str, str]:
    """Returns the options that hold for `pip install` from the output of `pip config list`."""
    found: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for line in listing.splitlines():
        match = re.match(r"(global|install|:env:)\.([\w-]+)=(.*)$", line)
        if match:
            section, name, value = match.groups()
            found[section][name] = str(ast.literal_eval(value)).strip()
    options: dict[str, str] = {}
    for section in _SECTIONS:
        options.update(found[section])
    return {name: value for name, value in options.items() if value}


def uv_settings(options: Mapping[str, str], present: Mapping[str, str]) -> UvSettings:
    """Translates pip's options.

    Args:
        options: pip's options and their values, as `read_config` gives them.
        present: Environment variables. What the person has set for uv itself stays as it is.

    Raises:
        UnknownSettingError: uv has no word for one of the options.
    """
    settings = UvSettings()
    for name, value in options.items():
        if name in _VARIABLES:
            variable, separator = _VARIABLES[name]
            if name == "proxy" and "://" not in value:
                value = f"http://{value}"
            if variable not in present or name in ("cert", "client-cert", "proxy"):
                settings.variables[variable] = separator.join(value.split())
        elif name in _SWITCHES:
            if value.lower() not in ("0", "false", "no", "off"):
                settings.arguments.append(_SWITCHES[name])
        elif name not in _WITHOUT_EFFECT:
            raise UnknownSettingError(name)
    return settings
