"""Samples and downloads: whole files or none, whatever the network and the disk do."""

import errno
import gzip
import hashlib
import http.server
import io
import pickle
import pickletools
import shutil
import sys
import tarfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2]))

from coursekit.core.errors import CourseError
from coursekit.datasets import data, download, emoji10
from coursekit.datasets.download import File, Patience, fetch

BODY = np.random.RandomState(0).randint(0, 60, 300_000).astype(np.uint8).tobytes()
PACKED = gzip.compress(BODY, 1)
QUICK = Patience(timeout=5, slow_rate=1000, slow_after=0.3)


def described(body, packed=True, **changes):
    facts = {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body), "packed": packed}
    return File(**{"name": "digits", "remote": "digits.gz", **facts, **changes})


class Mirror:
    """A loopback server. `faults` is what it does to its first, second, ... request."""

    def __init__(self, content, *faults, ranges=True):
        self.content, self.faults, self.ranges = content, list(faults), ranges
        self.asked = []
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.answer(self)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, request):
        wanted = request.headers.get("Range")
        self.asked.append((request.path.rpartition("/")[2], wanted))
        fault = self.faults.pop(0) if self.faults else None
        content = self.content
        if isinstance(content, dict):
            content = content[request.path.rpartition("/")[2]]
        if isinstance(fault, int):
            request.send_error(fault)
            return
        if fault == "wrong":
            content = bytes(len(content))
        first = int(wanted[6:-1]) if wanted and self.ranges else 0
        if first >= len(content):
            request.send_error(416)
            return
        request.send_response(206 if first else 200)
        if first:
            request.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        request.send_header("Content-Length", str(len(content) - first))
        request.end_headers()
        body = content[first:]
        try:
            if fault == "cut":
                request.wfile.write(body[: len(body) // 2])
            elif fault == "trickle":
                for byte in body[:400]:
                    request.wfile.write(bytes([byte]))
                    time.sleep(0.01)
            else:
                request.wfile.write(body)
        except OSError:
            pass  # the client had enough

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def serve():
    mirrors = []

    def start(*args, **options):
        mirrors.append(Mirror(*args, **options))
        return mirrors[-1]

    yield start
    for mirror in mirrors:
        mirror.close()


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


# --------------------------------------------------------------------------------------- download


def test_a_file_arrives_verified_and_with_progress(serve, tmp_path):
    mirror, seen = serve(PACKED), []
    path = fetch(described(BODY), [mirror.url], tmp_path, lambda *step: seen.append(step), QUICK)
    assert path == tmp_path / "digits.gz"
    assert gzip.decompress(path.read_bytes()) == BODY
    assert seen[-1] == (len(PACKED), len(PACKED))
    assert [path.name for path in tmp_path.iterdir()] == ["digits.gz"]


def test_a_download_says_no_word_of_its_own(serve, tmp_path, capfd):
    """Progress is told by the caller, and a failure in one sentence."""
    fetch(described(BODY), [serve(PACKED).url], tmp_path)
    assert capfd.readouterr() == ("", "")


def test_a_file_that_is_there_is_not_asked_for_again(serve, tmp_path):
    mirror = serve(PACKED)
    for _ in range(2):
        fetch(described(BODY), [mirror.url], tmp_path, patience=QUICK)
    assert len(mirror.asked) == 1


def test_a_spoilt_file_in_the_cache_is_replaced(serve, tmp_path):
    (tmp_path / "digits.gz").write_bytes(PACKED[:-5000])
    path = fetch(described(BODY), [serve(PACKED).url], tmp_path, patience=QUICK)
    assert path.read_bytes() == PACKED


def test_a_cut_connection_is_continued_where_it_broke_off(serve, tmp_path):
    mirror = serve(PACKED, "cut", "cut")
    path = fetch(described(BODY), [mirror.url], tmp_path, patience=QUICK)
    assert path.read_bytes() == PACKED
    assert [wanted for _, wanted in mirror.asked] == [
        None,
        f"bytes={len(PACKED) // 2}-",
        f"bytes={len(PACKED) // 2 + (len(PACKED) - len(PACKED) // 2) // 2}-",
    ]


def test_a_later_call_resumes_what_an_earlier_one_left(serve, tmp_path):
    mirror = serve(PACKED, "cut", 503)
    once = Patience(timeout=5, tries=1)
    for expected in (0, 0):
        with pytest.raises(CourseError, match="what has arrived is kept"):
            fetch(described(BODY), [mirror.url], tmp_path, patience=once)
        assert len(visible(tmp_path)) == expected, "no file under its final name"
    path = fetch(described(BODY), [mirror.url], tmp_path, patience=once)
    assert path.read_bytes() == PACKED
    assert mirror.asked[-1][1] == f"bytes={len(PACKED) // 2}-"


def test_a_server_without_ranges_sends_all_of_it_again(serve, tmp_path):
    mirror = serve(PACKED, "cut", ranges=False)
    path = fetch(described(BODY), [mirror.url], tmp_path, patience=QUICK)
    assert path.read_bytes() == PACKED


def test_wrong_bytes_send_us_to_the_next_mirror(serve, tmp_path):
    bad, good = serve(PACKED, *["wrong"] * 9), serve(PACKED)
    path = fetch(described(BODY), [bad.url, good.url], tmp_path, patience=QUICK)
    assert path.read_bytes() == PACKED
    assert len(bad.asked) == 1


def test_a_wrong_first_half_does_not_spoil_later_tries(serve, tmp_path):
    key = hashlib.sha256((mirror := serve(PACKED)).url.encode() + b"digits.gz").hexdigest()[:16]
    (tmp_path / f".{key}.part").write_bytes(b"rubbish of an earlier try")
    path = fetch(described(BODY), [mirror.url], tmp_path, patience=QUICK)
    assert path.read_bytes() == PACKED
    assert [wanted for _, wanted in mirror.asked] == ["bytes=25-", None]


def test_an_oversized_leftover_is_thrown_away(serve, tmp_path):
    key = hashlib.sha256((mirror := serve(PACKED)).url.encode() + b"digits.gz").hexdigest()[:16]
    (tmp_path / f".{key}.part").write_bytes(bytes(len(PACKED) + 10))
    path = fetch(described(BODY), [mirror.url], tmp_path, patience=QUICK)
    assert path.read_bytes() == PACKED


def test_slow_bytes_send_us_to_the_next_mirror(serve, tmp_path):
    slow, good = serve(PACKED, *["trickle"] * 9), serve(PACKED)
    one = Patience(timeout=5, slow_rate=1000, slow_after=0.3, tries=1)
    path = fetch(described(BODY), [slow.url, good.url], tmp_path, patience=one)
    assert path.read_bytes() == PACKED
    assert len(slow.asked) == 1


def test_the_error_says_what_each_mirror_did(serve, tmp_path):
    gone, wrong, slow = serve(PACKED, 404), serve(PACKED, "wrong"), serve(PACKED, "trickle")
    closed = serve(PACKED)
    closed.close()
    one = Patience(timeout=5, slow_rate=1000, slow_after=0.3, tries=1)
    with pytest.raises(CourseError) as caught:
        urls = [gone.url, wrong.url, slow.url, closed.url]
        fetch(described(BODY), urls, tmp_path, patience=one)
    for words in ("answered 404", "not the published one", "too slow", "cannot be reached"):
        assert words in str(caught.value)
    assert "offline samples work" in str(caught.value)
    assert visible(tmp_path) == []


def test_a_mirror_that_packs_anew_or_unpacks_is_right_all_the_same(serve, tmp_path):
    for number, content in enumerate((gzip.compress(BODY, 9), BODY)):
        folder = tmp_path / str(number)
        path = fetch(described(BODY), [serve(content).url], folder, patience=QUICK)
        assert gzip.decompress(path.read_bytes()) == BODY


def test_a_packed_file_that_unpacks_to_more_than_its_size_is_refused_early(serve, tmp_path):
    bomb = gzip.compress(bytes(50_000_000), 9)
    with pytest.raises(CourseError, match="not the published one"):
        fetch(described(BODY), [serve(bomb).url], tmp_path, patience=QUICK)


def test_plain_files_are_hashed_as_they_are(serve, tmp_path):
    file = described(PACKED, packed=False, name="archive.tar.gz")
    path = fetch(file, [serve(PACKED).url], tmp_path, patience=QUICK)
    assert path.name == "archive.tar.gz" and path.read_bytes() == PACKED


def test_a_full_disk_is_said_before_the_download_begins(serve, tmp_path, monkeypatch):
    usage = shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda folder: usage)
    mirror = serve(PACKED)
    with pytest.raises(CourseError, match="disk is full"):
        fetch(described(BODY), [mirror.url], tmp_path, patience=QUICK)
    assert mirror.asked == [] and visible(tmp_path) == []


def test_a_disk_that_fills_up_on_the_way_leaves_no_half_file(serve, tmp_path, monkeypatch):
    def full(raw):
        yield from [b"x" * 10]
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "arriving", full)
    with pytest.raises(CourseError, match="disk is full"):
        fetch(described(BODY), [serve(PACKED).url], tmp_path, patience=QUICK)
    assert visible(tmp_path) == []


# ----------------------------------------------------------------------- sets and data folders


@pytest.fixture
def course(tmp_path):
    """A course repository with samples, two homeworks and no network."""
    (tmp_path / "shared" / "data").mkdir(parents=True)
    for name in ("samples", "catalog.toml"):
        (tmp_path / "shared" / "data" / name).symlink_to(data.ROOT / "shared" / "data" / name)
    for stage in ("hw0", "hw4"):
        (tmp_path / stage).mkdir()
    return tmp_path


def small_mnist(serve, m=60_000, **changes):
    bodies = {
        "train-images-idx3-ubyte": b"\0\0\x08\x03" + bytes(100),
        "train-labels-idx1-ubyte": b"\0\0\x08\x01" + m.to_bytes(4, "big") + bytes(20),
        "t10k-images-idx3-ubyte": b"\0\0\x08\x03" + bytes(50),
        "t10k-labels-idx1-ubyte": b"\0\0\x08\x01" + (10_000).to_bytes(4, "big") + bytes(10),
    }
    served = {f"{name}.gz": gzip.compress(body) for name, body in bodies.items()}
    mirror = serve({**served, **changes})
    files = [
        {"name": name, "remote": f"{name}.gz", "sha256": hashlib.sha256(body).hexdigest()}
        for name, body in bodies.items()
    ]
    facts = {"title": "MNIST", "use": "digits", "licence": "x", "kind": "gzip"}
    return {"mnist": {**facts, "mirrors": [mirror.url], "file": files}}, served


def test_the_samples_fill_an_empty_data_folder_with_true_names(course):
    sources = data.ensure_samples(course / "hw0", course)
    assert [(s.use, s.name) for s in sources] == [("digits", "MNIST-7k sample")]
    assert "6,000 + 1,000" in str(sources[0])
    assert visible(course / "hw0" / "data") == sorted(data.IDX_FILES)


def test_homework_4_gets_images_and_text_too_and_every_name_says_sample(course):
    sources = data.ensure_samples(course / "hw4", course)
    assert [source.use for source in sources] == ["digits", "images", "text", "characters"]
    assert all("sample" in source.name for source in sources)
    letters = (course / "hw4" / "data" / "austen-chars" / "train.txt").read_text(encoding="utf-8")
    assert "I t _ i s _ a _ t r u t h _ u n i v e r s a l l y" in letters
    assert max(map(len, letters.split())) == 1
    text = (course / "hw4" / "data" / "austen" / "valid.txt").read_text(encoding="utf-8")
    assert len(text.splitlines()) == 3075 and "<unk>" in text


def test_existing_data_is_left_alone(course):
    folder = course / "hw0" / "data"
    folder.mkdir()
    for name in data.IDX_FILES:
        (folder / name).write_bytes(b"mine")
    data.ensure_samples(course / "hw0", course)
    assert (folder / data.IDX_FILES[0]).read_bytes() == b"mine"


def test_an_incomplete_set_is_replaced_as_a_whole(course):
    folder = course / "hw0" / "data"
    folder.mkdir()
    (folder / "train-images-idx3-ubyte.gz").write_bytes(b"of another set")
    data.ensure_samples(course / "hw0", course)
    assert (folder / "train-images-idx3-ubyte.gz").stat().st_size > 900_000


def test_a_course_without_samples_is_one_sentence(tmp_path):
    with pytest.raises(CourseError, match="samples are missing"):
        data.ensure_samples(tmp_path / "hw0", tmp_path)


def test_a_downloaded_set_takes_the_place_of_the_sample(course, serve):
    sets, served = small_mnist(serve)
    data.ensure_samples(course / "hw0", course)
    sources = data.download(["mnist"], course, sets, patience=QUICK)
    assert {source.name for source in sources} == {"MNIST"}
    for stage in ("hw0", "hw4"):
        for name, content in served.items():
            assert (course / stage / "data" / name).read_bytes() == content
    assert data.ensure_samples(course / "hw0", course)[0].name == "MNIST"


def test_a_download_that_fails_halfway_changes_no_data_folder(course, serve):
    sets, _ = small_mnist(serve, **{"t10k-labels-idx1-ubyte.gz": gzip.compress(b"another file")})
    data.ensure_samples(course / "hw0", course)
    with pytest.raises(CourseError, match="t10k-labels"):
        data.download(["mnist"], course, sets, patience=QUICK)
    assert data.describe(course / "hw0" / "data")[0].name == "MNIST-7k sample"


def test_an_unknown_set_is_refused_before_anything_happens(course):
    with pytest.raises(CourseError, match="the sets are mnist, cifar10, ptb"):
        data.download(["imagenet"], course)


def test_an_archive_gives_only_the_plain_files_of_its_folder(course, serve):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name in ("cifar-10-batches-py/test_batch", "../evil", "cifar-10-batches-py/../../evil"):
            member = tarfile.TarInfo(name)
            member.size = 4
            archive.addfile(member, io.BytesIO(b"data"))
        link = tarfile.TarInfo("cifar-10-batches-py/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    body = stream.getvalue()
    entry = {**data.catalog()["cifar10"], "mirrors": [serve(body).url]}
    entry["file"] = [
        {"name": "c.tar.gz", "remote": "c.tar.gz", "sha256": hashlib.sha256(body).hexdigest()}
    ]
    sources = data.download(["cifar10"], course, {"cifar10": entry}, patience=QUICK)
    assert [source.name for source in sources] == ["CIFAR-10"]
    assert visible(course / "hw4" / "data" / "cifar-10-batches-py") == ["test_batch"]
    assert not (course / "hw0" / "data").exists()


def test_text_files_go_into_their_folder(course, serve):
    bodies = {f"ptb.{part}.txt": f" the {part} \n".encode() for part in ("train", "valid", "test")}
    entry = {**data.catalog()["ptb"], "mirrors": [serve(bodies).url]}
    entry["file"] = [
        {"name": name[4:], "remote": name, "sha256": hashlib.sha256(body).hexdigest()}
        for name, body in bodies.items()
    ]
    data.download(["ptb"], course, {"ptb": entry}, patience=QUICK)
    assert visible(course / "hw4" / "data" / "ptb") == ["test.txt", "train.txt", "valid.txt"]


def test_the_catalog_has_the_published_sizes_and_https_mirrors():
    sets = data.catalog()
    assert list(sets) == ["mnist", "cifar10", "ptb"]
    for entry in sets.values():
        assert all(url.startswith("https://") and url.endswith("/") for url in entry["mirrors"])
        assert all(len(row["sha256"]) == 64 for row in entry["file"])
    assert [row["bytes"] for row in sets["mnist"]["file"]] == [
        16 + 60_000 * 784,
        8 + 60_000,
        16 + 10_000 * 784,
        8 + 10_000,
    ]


# ---------------------------------------------------------------------------------------- EMOJI-10


@pytest.fixture(scope="module")
def batches():
    return dict(
        emoji10.batches(data.ROOT / "shared" / "data" / "samples" / "emoji" / "emoji32.png")
    )


def test_batches_have_the_layout_of_cifar_10(batches):
    assert list(batches) == [f"data_batch_{i}" for i in range(1, 6)] + [
        "test_batch",
        "batches.meta",
    ]
    for name in list(batches)[:-1]:
        content = pickle.loads(batches[name], encoding="bytes")
        assert set(content) == {b"batch_label", b"labels", b"data", b"filenames"}
        assert content[b"data"].shape == (emoji10.PER_BATCH, 3072)
        assert content[b"data"].dtype == np.uint8
        assert (np.bincount(content[b"labels"]) == emoji10.PER_BATCH // 10).all()
    meta = pickle.loads(batches["batches.meta"], encoding="bytes")
    assert len(meta[b"label_names"]) == 10 and meta[b"num_vis"] == 3072


def test_batches_are_python_2_pickles_that_name_nothing_but_numpy(batches):
    names = {
        argument
        for opcode, argument, _ in pickletools.genops(batches["test_batch"])
        if opcode.name in ("GLOBAL", "STACK_GLOBAL")
    }
    assert names == {"numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype"}
    kinds = {opcode.name for opcode, _, _ in pickletools.genops(batches["test_batch"])}
    assert not kinds & {"BINUNICODE", "SHORT_BINBYTES", "BINBYTES"}


def test_the_pickler_takes_arrays_and_plain_values_only():
    with pytest.raises(pickle.PicklingError, match="only NumPy arrays"):
        emoji10.python2_pickle({b"evil": print})


def test_no_emoji_of_the_test_batch_occurs_in_training():
    ids = np.array([1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8, 9, 10, 11, 12])
    labels = np.repeat([0, 1], 8)
    held_out = emoji10.test_sprites(ids, labels)
    assert not set(ids[held_out]) & set(ids[~held_out])
    assert held_out[:8].any() and held_out[8:].any()


def test_batches_are_the_same_every_time(batches):
    sheet = data.ROOT / "shared" / "data" / "samples" / "emoji" / "emoji32.png"
    name, content = next(iter(emoji10.batches(sheet)))
    assert content == batches[name]
