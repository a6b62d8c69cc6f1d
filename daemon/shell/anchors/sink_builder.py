"""Makes the sinks that a configuration names; whatever cannot be used is told at boot."""

import importlib
from collections.abc import Mapping

from daemon.errors import AnchorUnusable
from daemon.settings_anchors import AnchorSettings, AnchorSinkSettings
from daemon.shell.anchors.http_sinks import (
    TimestampSink,
    WebhookSink,
    WitnessSink,
    tls_context,
)
from daemon.shell.anchors.local_sinks import SYSLOG_SOCKET, FileSink, SyslogSink
from daemon.shell.anchors.sink import AnchorSink


def sinks_of(settings: AnchorSettings, *, box: str) -> dict[str, AnchorSink]:
    """Every sink by its name; `box` names this box in logs.

    Raises:
        AnchorUnusable: a key, file or class of one cannot be used.
    """
    found: dict[str, AnchorSink] = {}
    for name, one in settings.sinks.items():
        try:
            found[name] = _sink(one, box)
        except AnchorUnusable as error:
            raise AnchorUnusable(f"anchors.sinks.{name}: {error}") from error
    return found


def _sink(one: AnchorSinkSettings, box: str) -> AnchorSink:
    if one.kind == "syslog":
        return SyslogSink(one.path or SYSLOG_SOCKET, tag=f"seatriald-{box}")
    if one.kind == "plugin":
        return _plugin(one.class_path, one.params)
    if one.path is not None:
        return FileSink(one.path)
    if one.secret_file is not None:
        return WebhookSink(one.url, one.secret_file, tls_context(one.ca_file))
    if one.key is not None and one.witness_key is not None:
        tls = tls_context(one.ca_file, one.tls_certificate, one.tls_key)
        return WitnessSink(one.url, one.key, one.witness_key, tls)
    if one.ca_file is not None:
        return TimestampSink(one.url, one.ca_file)
    raise AnchorUnusable(f"kind {one.kind} lacks its keys")


def _plugin(class_path: str, params: Mapping[str, object]) -> AnchorSink:
    module, _, name = class_path.partition(":")
    try:
        made: AnchorSink = getattr(importlib.import_module(module), name)(**params)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise AnchorUnusable(
            f"class {class_path!r}: {error}; write package.module:Class, its arguments in params"
        ) from error
    return made
