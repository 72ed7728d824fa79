"""Files that carry a pinned SHA-256: nothing that came from elsewhere is read before its hash is right."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

# What was hashed in this process, as (path, size, mtime in ns) -> SHA-256: a second look costs one `stat`.
_hashed: dict[tuple[str, int, int], str] = {}


class AssetError(RuntimeError):
    """A data set or a model cannot be had; the message says what happened, what it means and what to do."""


@dataclass(frozen=True)
class PinnedFile:
    """A file as it was published: its path inside the package that brings it, its SHA-256, its size in bytes."""

    path: str
    sha256: str
    size: int


def reinstall(package: str) -> str:
    """The command that puts a package's files back as they were published."""
    return f"pip install --force-reinstall --no-deps {package}"


def reason(error: Exception) -> str:
    """The first line of what an error says, fit for the middle of a sentence."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, 64 hex digits; hashed once per process while size and mtime stay."""
    stat = path.stat()
    key = (str(path.resolve()), stat.st_size, stat.st_mtime_ns)
    if key not in _hashed:
        with path.open("rb") as file:
            _hashed[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _hashed[key]


def verified(folder: Path, pinned: PinnedFile, package: str) -> Path:
    """The path of `pinned` under `folder`, once its bytes are those that were published.

    Raises AssetError where the file is missing, cannot be read, or is not the one that was pinned.
    """
    path = folder / pinned.path
    try:
        size = path.stat().st_size
        digest = sha256_of(path) if size == pinned.size else None
    except FileNotFoundError:
        happened = f"{path} is missing"
    except OSError as error:
        happened = f"{path} cannot be read ({error.strerror})"
    else:
        if digest == pinned.sha256:
            return path
        if digest is None:
            happened = f"{path} is damaged: it has {size:,} bytes where {pinned.size:,} were published"
        else:
            happened = f"{path} has SHA-256 {digest[:12]}... where {pinned.sha256[:12]}... was published"
    raise AssetError(f"{happened}, so it was not loaded; put it back with `{reinstall(package)}`.")
