"""How an URL finds its adapter. Shell; each adapter's packages are imported when it is asked for.

Tested in tests/core/filesystems/test_opening.py.
"""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from ..errors import ConfigError
from .filesystem import FileSystem
from .local import LocalFileSystem, local_path

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


def open_filesystem(
    url: str, options: Mapping[str, str] | None = None, *, timeout_s: float = 30
) -> tuple[FileSystem, str]:
    """The adapter for `url` and the absolute path within it.

    url: `file:///lake`, a plain path, `hdfs://namenode:9000/lake`, `hdfs://nameservice/lake`, or any URL fsspec knows.
    options: settings of that store, such as Hadoop client keys or fsspec's storage options.
    timeout_s: how long one call may take before it counts as Retriable.
    Raises ConfigError when no adapter knows the URL.
    """
    scheme = urlsplit(url).scheme if "://" in url else ""
    if not scheme and (match := _SCHEME.match(url)):
        raise ConfigError(f"store.url={url!r}: write two slashes after {match[0]} as in {match[0]}//host/lake")
    if scheme in ("", "file"):
        return LocalFileSystem(), local_path(url)
    if scheme in ("hdfs", "viewfs"):
        from .hdfs import open_hdfs

        return open_hdfs(url, options or {}, timeout_s=timeout_s)
    from .generic import open_generic

    try:
        return open_generic(url, options or {}, timeout_s=timeout_s)
    except ValueError as error:
        raise ConfigError(f"store.url={url!r}: no filesystem answers to {scheme}://: {error}") from error
    except ImportError as error:
        raise ConfigError(f"store.url={url!r}: {scheme}:// needs a package that is not installed: {error}") from error
