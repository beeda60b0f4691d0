"""Fetching one file from several mirrors: resumed, watched for standstill, verified.

A file counts only when its *decompressed* bytes have the published SHA-256. What has arrived of a
broken download stays in a .part file beside the cache and is continued by the next try; a file
under its final name is always whole and right.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import logging
import os
import shutil
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from coursekit.core.errors import CourseError

CHUNK = 1 << 16


@dataclass(frozen=True)
class File:
    """One file of a set: its name here, its name on the mirrors, its hash and size when known."""

    name: str
    remote: str
    sha256: str
    bytes: int | None = None
    packed: bool = False  # hash and size are of the gunzipped bytes


@dataclass(frozen=True)
class Patience:
    """When a mirror is given up. Rates are bytes a second, times seconds."""

    timeout: float = 30.0  # without a single byte
    slow_rate: float = 1024.0
    slow_after: float = 60.0  # slower than slow_rate over this long
    tries: int = 4  # for each mirror, each continuing where the last one broke off


Progress = Callable[[int, "int | None"], None]
"""Called with (bytes here, bytes in all or None) while a file arrives."""


class WrongBytes(Exception):
    """The download is complete, and it is not the published file."""


class ResumingDownloader:
    """A pooch downloader that continues a broken download with an HTTP range request."""

    def __init__(self, partial: Path, patience: Patience, progress: Progress):
        self.partial, self.patience, self.progress = partial, patience, progress

    def __call__(self, url, output_file, pooch, check_only=False):
        import requests

        have = self.partial.stat().st_size if self.partial.exists() else 0
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        with requests.get(
            url, headers=headers, stream=True, timeout=self.patience.timeout
        ) as response:
            if response.status_code == 416:  # nothing after what we have: it was complete, or wrong
                os.replace(self.partial, output_file)
                return
            response.raise_for_status()
            resumed = response.status_code == 206 and response.headers.get(
                "Content-Range", ""
            ).startswith(f"bytes {have}-")
            self._receive(response, have if resumed else 0)
        os.replace(self.partial, output_file)

    def _receive(self, response, have: int) -> None:
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        began, at_start = time.monotonic(), have
        with open(self.partial, "ab" if have else "wb") as stream:
            for chunk in arriving(response.raw):
                stream.write(chunk)
                have += len(chunk)
                self.progress(have, total)
                seconds = time.monotonic() - began
                if seconds > self.patience.slow_after:
                    if (have - at_start) / seconds < self.patience.slow_rate:
                        raise TimeoutError("too slow")
                    began, at_start = time.monotonic(), have
        if total is not None and have != total:
            raise ConnectionError(f"broke off after {have} of {total} bytes")


def arriving(raw):
    """Yield bytes as they come, so that a trickle is noticed before a whole chunk is full."""
    import urllib3

    read = getattr(raw, "read1", None) or (lambda size: raw.read(1024))  # urllib3 1.x has no read1
    try:
        while chunk := read(CHUNK):
            yield chunk
    except urllib3.exceptions.TimeoutError as error:
        raise TimeoutError("timed out") from error
    except urllib3.exceptions.HTTPError as error:
        raise ConnectionError("the connection broke off") from error


def fetch(
    file: File,
    mirrors: list[str],
    folder: Path,
    progress: Progress = lambda have, total: None,
    patience: Patience = Patience(),
) -> Path:
    """The verified file in `folder`, downloaded unless it lies there already.

    Args:
        mirrors: addresses that end in a slash, in the order in which they are tried.

    Raises:
        CourseError: no mirror gave the right file, or the disk is full; says what each one did.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / (f"{file.name}.gz" if file.packed else file.name)
    if target.is_file() and is_right(target, file):
        return target
    check_space(folder, file)
    reasons = []
    for mirror in mirrors:
        try:
            return _fetch_from(mirror + file.remote, file, target, progress, patience)
        except (WrongBytes, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise CourseError(
                    f"the disk is full: {file.name} does not fit into {folder}; free some space "
                    "and call the command again, it continues where it stopped"
                ) from None
            reasons.append(f"{urlsplit(mirror).netloc}: {reason(error)}")
    raise CourseError(
        f"{file.name} could not be downloaded ({'; '.join(reasons)}); try again later, what has "
        "arrived is kept. The offline samples work without it"
    )


def _fetch_from(url, file, target, progress, patience) -> Path:
    import pooch

    pooch.get_logger().setLevel(logging.ERROR)  # not the one that logging knows by this name
    key = hashlib.sha256(url.encode()).hexdigest()[:16]
    partial = target.parent / f".{key}.part"
    arrived = target.parent / f".{key}.whole"
    downloader = ResumingDownloader(partial, patience, progress)
    for last in [False] * (patience.tries - 1) + [True]:
        before = partial.stat().st_size if partial.exists() else 0
        arrived.unlink(missing_ok=True)
        try:
            pooch.retrieve(
                url, None, fname=arrived.name, path=arrived.parent, downloader=downloader
            )
            return _accept(arrived, file, target)
        except WrongBytes:
            arrived.unlink(missing_ok=True)
            if last or not before:  # a fresh download was wrong: so is the mirror
                raise
        except OSError as error:  # requests' exceptions are OSErrors
            stuck = (partial.stat().st_size if partial.exists() else 0) <= before
            if last or stuck or error.errno == errno.ENOSPC:
                raise
    raise AssertionError("unreachable")


def _accept(arrived: Path, file: File, target: Path) -> Path:
    """Move a right file to its name; a server that unpacked it on the way is forgiven."""
    if not is_right(arrived, file):
        raise WrongBytes(f"its SHA-256 is not the published one ({file.sha256[:12]}...)")
    if file.packed and arrived.read_bytes()[:2] != b"\x1f\x8b":
        repacked = arrived.with_suffix(".gz")
        try:
            with open(arrived, "rb") as plain, gzip.open(repacked, "wb", 6) as stream:
                shutil.copyfileobj(plain, stream, CHUNK)
        except BaseException:
            repacked.unlink(missing_ok=True)
            raise
        os.replace(repacked, arrived)
    os.chmod(arrived, 0o644)
    os.replace(arrived, target)
    return target


def is_right(path: Path, file: File) -> bool:
    """Do the file's bytes, gunzipped where they are packed, have the published hash?"""
    digest, count = hashlib.sha256(), 0
    limit = file.bytes if file.bytes is not None else float("inf")
    try:
        with open(path, "rb") as raw:
            packed = file.packed and raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream = gzip.GzipFile(fileobj=raw) if packed else raw
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                count += len(chunk)
                if count > limit:
                    return False
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return False
    return digest.hexdigest() == file.sha256


def check_space(folder: Path, file: File) -> None:
    """Refuse to begin what cannot end: CourseError when the file is larger than the free space."""
    free = shutil.disk_usage(folder).free
    if file.bytes is not None and free < file.bytes:
        raise CourseError(
            f"the disk is full: {file.name} needs up to {file.bytes / 1e6:,.0f} MB and {folder} "
            f"has {free / 1e6:,.0f} MB free; free some space and call the command again"
        )


def reason(error: Exception) -> str:
    """What went wrong with a mirror, in a few words."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"answered {error.response.status_code}"
    if isinstance(error, (requests.Timeout, TimeoutError)):
        return "too slow"
    if isinstance(error, requests.ConnectionError):
        return "timed out" if "timed out" in str(error) else "cannot be reached"
    return str(error)
