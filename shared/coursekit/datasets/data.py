"""The data sets on disk: which one lies in a homework's data/ folder, and where it came from.

Every homework works offline with the samples that ship with the course (`ensure_samples`);
`hw data` replaces them by the full sets (`install`). Files appear whole or not at all.
"""

from __future__ import annotations

import gzip
import os
import shutil
import struct
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from coursekit.core.errors import CourseError
from coursekit.datasets.download import File, Patience, fetch

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[3]
IDX_FILES = tuple(
    f"{part}-{kind}-ubyte.gz"
    for part in ("train", "t10k")
    for kind in ("images-idx3", "labels-idx1")
)
TEXT_STAGES = ("hw4", "project")  # the only ones that read emoji and text


@dataclass(frozen=True)
class Source:
    """What a homework reads for one purpose: "digits", "images", "text" or "characters"."""

    use: str
    name: str
    size: str
    folder: Path

    def __str__(self) -> str:
        return f"{self.use}: {self.name}, {self.size} ({self.folder})"


def catalog(root: Path = ROOT) -> dict:
    """shared/data/catalog.toml: the sets, their files, mirrors and hashes."""
    path = root / "shared" / "data" / "catalog.toml"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CourseError(f"{path} is missing: restore it with git checkout", path) from None
    except tomllib.TOMLDecodeError as error:
        raise CourseError(f"not valid TOML: {error}", path) from None


def cache(root: Path = ROOT) -> Path:
    """The folder of generated and downloaded sets; git-ignored, safe to delete."""
    return root / ".hw" / "data"


# ------------------------------------------------------------------------------------- the samples


def ensure_samples(stage_dir: Path | str, root: Path = ROOT) -> list[Source]:
    """Fill hwN/data with the offline samples, as far as no data lies there; what is in use.

    Args:
        stage_dir: a homework's folder; its name tells which sets it reads (hw4: all of them).
        root: the course repository.

    Raises:
        CourseError: the samples are not there, or the folder cannot be written.
    """
    stage_dir = Path(stage_dir)
    return fill(stage_dir / "data", root)


def fill(folder: Path, root: Path = ROOT) -> list[Source]:
    """As `ensure_samples`, given the data folder itself."""
    folder, root = Path(folder), Path(root)
    samples = root / "shared" / "data" / "samples"
    if not samples.is_dir():
        raise CourseError(f"the offline samples are missing: no folder {samples}")
    try:
        if not all((folder / name).is_file() for name in IDX_FILES):
            install_digits(folder, samples / "mnist")
        if folder.parent.name in TEXT_STAGES or not folder.parent.name.startswith("hw"):
            _fill_emoji(folder, samples, root)
            for name in ("austen", "austen-chars"):
                _fill_text(folder / name, samples / name)
    except OSError as error:
        raise CourseError(f"cannot fill {folder}: {error.strerror or error}") from None
    return describe(folder)


def fill_homework(root: Path, folder: Path) -> None:
    """Put the offline samples into hwN/data, where tests and apps look; a course may have none."""
    if (root / "shared" / "data" / "samples").is_dir():
        fill(folder / "data", root)


def install_digits(folder: Path, source: Path) -> None:
    """Copy the four IDX files of one set, all of them, so that images and labels belong together."""
    for name in IDX_FILES:
        write_whole(folder / name, (source / name).read_bytes())


def _fill_emoji(folder: Path, samples: Path, root: Path) -> None:
    from coursekit.datasets import emoji10

    made = cache(root) / f"emoji-{emoji10.VERSION}" / emoji10.FOLDER
    if not (folder / emoji10.FOLDER).is_dir():
        if not made.is_dir():
            sheet = samples / "emoji" / "emoji32.png"
            write_folder(made, emoji10.batches(sheet))
        files = ((path.name, path.read_bytes()) for path in sorted(made.iterdir()))
        write_folder(folder / emoji10.FOLDER, files)


def _fill_text(folder: Path, sample: Path) -> None:
    if not folder.is_dir():
        packed = sorted(sample.glob("*.txt.gz"))
        files = ((path.stem, gzip.decompress(path.read_bytes())) for path in packed)
        write_folder(folder, files)


# ------------------------------------------------------------------------------------ the full sets


def download(
    names: list[str],
    root: Path = ROOT,
    sets: dict | None = None,
    progress=lambda title, have, total: None,
    patience: Patience = Patience(),
) -> list[Source]:
    """Fetch full sets into the cache, verify them, and put them into the homeworks' data folders.

    Args:
        names: of the catalog: "mnist", "cifar10", "ptb".
        sets: the catalog, when it is not the repository's own.
        progress: called with (file's name, bytes here, bytes in all or None).

    Raises:
        CourseError: unknown name, or a download failed; data folders are then as before.
    """
    used = []
    for name, entry in choose(names, catalog(root) if sets is None else sets).items():
        paths = []
        for row in entry["file"]:
            file = File(**row, packed=entry["kind"] == "gzip")
            here = cache(root) / name

            def report(have, total, title=file.name):
                progress(title, have, total)

            try:
                paths.append(fetch(file, entry["mirrors"], here, report, patience))
            except OSError as error:
                raise CourseError(f"cannot write to {here}: {error.strerror or error}") from None
        used += install(name, entry, paths, root)
    return used


def choose(names: list[str], sets: dict) -> dict:
    """The named sets of a catalog; all of them for no name.

    Raises:
        CourseError: there is no such set.
    """
    for name in names:
        if name not in sets:
            raise CourseError(f"there is no data set {name!r}; the sets are {', '.join(sets)}")
    return {name: sets[name] for name in names or sets}


def install(name: str, entry: dict, paths: list[Path], root: Path = ROOT) -> list[Source]:
    """Put a downloaded set into the data folder of each homework that reads it."""
    used = []
    for stage in _stages(root):
        folder = stage / "data"
        if entry["use"] == "digits":
            install_digits(folder, paths[0].parent)
        elif stage.name in TEXT_STAGES:
            _install_folder(folder / entry["folder"], entry, paths)
        else:
            continue
        used += [source for source in describe(folder) if source.name == entry["title"]]
    return used


def _install_folder(folder: Path, entry: dict, paths: list[Path]) -> None:
    if entry["kind"] == "text":
        files = ((path.name, path.read_bytes()) for path in paths)
    else:
        files = _archived(paths[0], entry["folder"])
    if folder.is_dir():
        shutil.rmtree(folder)
    write_folder(folder, files)


def _archived(path: Path, folder: str):
    """(name, content) of the plain files in one folder of a tar archive; nothing else is taken."""
    with tarfile.open(path) as archive:
        for member in archive:
            parent, _, name = member.name.rpartition("/")
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None and parent == folder and name:
                yield name, content.read()


def install_samples(root: Path = ROOT) -> None:
    """Put the offline digits back into every homework."""
    for stage in _stages(root):
        install_digits(stage / "data", root / "shared" / "data" / "samples" / "mnist")


def in_use(root: Path = ROOT) -> Iterator[tuple[str, Source]]:
    """(homework, what it reads) for all of them, the samples put where nothing lies yet."""
    for stage in _stages(root):
        for source in ensure_samples(stage, root):
            yield stage.name, source


def _stages(root: Path) -> list[Path]:
    return [path for path in sorted(root.glob("hw[0-9]")) if path.is_dir()]


# ---------------------------------------------------------------------------------- what is in use


def describe(folder: Path) -> list[Source]:
    """What a homework's data folder holds, with true names: a sample is called a sample."""
    folder = Path(folder)
    found = []
    train, test = (count_idx(folder / f"{part}-labels-idx1-ubyte.gz") for part in ("train", "t10k"))
    if train is not None and test is not None:
        name = {60_000: "MNIST", 6_000: "MNIST-7k sample"}.get(train, "unknown digits")
        found.append(Source("digits", name, f"{train:,} + {test:,} images", folder))
    for name, title in (
        ("cifar-10-batches-py", "CIFAR-10"),
        ("emoji-10-batches-py", "EMOJI-10 sample"),
    ):
        if (folder / name).is_dir():
            size = sum(path.stat().st_size for path in (folder / name).glob("*_batch*"))
            found.append(Source("images", title, f"{size / 1e6:,.0f} MB", folder / name))
    for use, name, title in (
        ("text", "ptb", "Penn Treebank"),
        ("text", "austen", "AUSTEN sample"),
        ("characters", "austen-chars", "AUSTEN-CHARS sample"),
    ):
        if (folder / name).is_dir():
            size = sum(path.stat().st_size for path in (folder / name).glob("*.txt"))
            found.append(Source(use, title, f"{size / 1e6:,.1f} MB", folder / name))
    return found


def count_idx(path: Path) -> int | None:
    """The number of items that a gzipped IDX file announces; None when it cannot be read."""
    try:
        with gzip.open(path) as stream:
            return struct.unpack(">II", stream.read(8))[1]
    except (OSError, EOFError, struct.error):
        return None


# ----------------------------------------------------------------------------- whole files or none


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that no reader ever sees half of it, whatever happens on the way."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_folder(folder: Path, files) -> None:
    """Write (name, content) pairs into a new folder that appears only when it is complete."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        for name, content in files:
            (temporary / name).write_bytes(content)
        temporary.chmod(0o755)
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.is_dir():  # another process was faster: its folder is as good
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
