# /// script
# requires-python = ">=3.11"
# dependencies = ["torch~=2.13.0", "numpy", "pyarrow", "pillow", "cryptography"]
# ///
"""Pull a release and train on it: a small classifier per choice, a small regressor per rating, with figures by group.

    uv run train.py portraits data --server https://likeness.example.org --token TOKEN
    python train.py --copy data/portraits/1.0.0

It is a beginning to copy from: a few convolutions on thumbnails, on the GPU if there is one. The epoch with the lowest
loss on the validation split counts; figures are of the test split, beside those of always guessing the same.

Groups are what the release itself tells of a row: its other choices, the kind of its basis, the territory. What people
say about themselves does not travel with a release. If you have groups of your own that you may use, --groups takes a
CSV file with a column `row_id` or `subject` and a column per attribute. Groups under --fewest rows are left out.

A later pull takes withdrawn rows out of the copy. The model has learned from them: metrics.json names the release and
its SHA-256, so that you know which models to train again.
"""

import argparse
import csv
import io
import json
import os
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch import Tensor, nn

SIDE = 64  # pixels of a thumbnail
BATCH = 16
WIDTHS = (3, 16, 32, 64)  # channels before and after each layer
SPLITS = ("train", "validation", "test")
RATING, CHOICES = "rating", "choices"


# --- The release -----------------------------------------------------------------------------------------------------


def pull(dataset: str, folder: Path, server: str, token: str, key: Path | None) -> Path:
    """Bring the copy up to date with the server's own pull.py; returns the folder of the version."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "pull.py"
    with urllib.request.urlopen(f"{server.rstrip('/')}/pull.py", timeout=60) as answer:  # noqa: S310 -- as was asked
        program.write_bytes(answer.read())
    words = [sys.executable, str(program), dataset, str(folder), "--server", server]
    words += ["--key", str(key)] if key else []
    done = subprocess.run(words, env=os.environ | {"LIKENESS_TOKEN": token}, stdout=subprocess.PIPE, text=True)  # noqa: S603
    if done.returncode:
        sys.exit(done.returncode)  # pull has said why
    return Path(done.stdout.strip().splitlines()[-1])


@dataclass
class Rows:
    """Rows of a release: thumbnails as (n, 3, SIDE, SIDE) bytes, and the other columns by name."""

    images: Tensor
    columns: dict[str, list[Any]]

    def take(self, chosen: Sequence[int]) -> "Rows":
        return Rows(self.images[list(chosen)], {k: [v[i] for i in chosen] for k, v in self.columns.items()})

    def of(self, split: str) -> "Rows":
        return self.take([i for i, name in enumerate(self.columns["split"]) if name == split])

    def __len__(self) -> int:
        return len(self.images)


def read(copy: Path) -> Rows:
    """All rows of a pulled release. A thumbnail takes 12 KB of memory."""
    images: list[np.ndarray] = []
    columns: dict[str, list[Any]] = {}
    for path in sorted(copy.glob("data/*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(batch_size=BATCH):
            for name in batch.schema.names:
                if name != "image":
                    columns.setdefault(name, []).extend(batch[name].to_pylist())
            images += [thumbnail(image["bytes"]) for image in batch["image"].to_pylist()]
    if not images:
        sys.exit(f"There are no rows in {copy}.")
    records = (json.loads(line) for path in sorted(copy.glob("rows/*.jsonl")) for line in path.open())
    bases = {record["row_id"]: record["basis"] for record in records}
    for name in ("kind", "territory"):
        columns[f"basis {name}"] = [bases[row][name] for row in columns["row_id"]]
    return Rows(torch.from_numpy(np.stack(images)), columns)


def thumbnail(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as picture:
        pixels = np.asarray(picture.convert("RGB").resize((SIDE, SIDE)))
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def targets(copy: Path) -> dict[str, str]:
    """Columns to learn: name to RATING or CHOICES. Boxes and points are for other examples."""
    schema = pq.read_schema(next(iter(sorted(copy.glob("data/*.parquet")))))
    kinds = {"double": RATING, "string": CHOICES}
    labels = ((field.name, str(field.type)) for field in schema if field.name.startswith("label_"))
    return {name: kinds[kind] for name, kind in labels if kind in kinds}


# --- The models ------------------------------------------------------------------------------------------------------


def network(outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(WIDTHS):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTHS[-1], outputs))


def prepared(images: Tensor, device: torch.device) -> Tensor:
    return images.to(device).float() / 127.5 - 1


def fit(
    model: nn.Module, loss: nn.Module, train: tuple[Tensor, Tensor], held: tuple[Tensor, Tensor], epochs: int
) -> None:
    """Leaves the model as it was at the epoch with the lowest loss on `held` rows."""
    device = next(model.parameters()).device
    steps = torch.optim.AdamW(model.parameters(), lr=3e-3)
    best, kept = float("inf"), None
    for _ in range(epochs):
        model.train()
        for chosen in torch.randperm(len(train[0])).split(BATCH):
            if len(chosen) < 2:  # a batch of one has no variance
                continue
            steps.zero_grad()
            loss(model(prepared(train[0][chosen], device)), train[1][chosen].to(device)).backward()
            steps.step()
        value = loss(predict(model, held[0]), held[1]).item()
        if value < best:
            best, kept = value, {name: weight.clone() for name, weight in model.state_dict().items()}
    if kept:
        model.load_state_dict(kept)


@torch.no_grad()
def predict(model: nn.Module, images: Tensor) -> Tensor:
    device = next(model.parameters()).device
    model.eval()
    return torch.cat([model(prepared(some, device)).cpu() for some in images.split(BATCH)])


# --- One label -------------------------------------------------------------------------------------------------------


def learn(rows: Rows, column: str, kind: str, device: torch.device, epochs: int) -> tuple[Rows, np.ndarray, np.ndarray]:
    """Train on one label; the test rows, and for each of them how good the model is and how good guessing is.

    Of a rating: the error in stars. Of choices: the share of choices that are right.
    """
    known = rows.take([i for i, value in enumerate(rows.columns[column]) if value is not None])
    parts = [known.of(split) for split in SPLITS]
    if not all(len(part) > 1 for part in parts):
        raise LookupError(f"{column}: a split has fewer than two rows with this label")
    names = sorted({choice for value in parts[0].columns[column] for choice in split_choices(value)} - {""})
    if kind == CHOICES and not names:
        raise LookupError(f"{column}: nothing was chosen")
    train, held, test = (encoded(part.columns[column], kind, names) for part in parts)
    middle = train.mean(0)
    model = network(train.shape[1]).to(device)
    if kind == RATING:
        spread = train.std().clamp(min=1e-3)
        scaled = [(part.images, (truth - middle) / spread) for part, truth in zip(parts, (train, held), strict=False)]
        fit(model, nn.MSELoss(), scaled[0], scaled[1], epochs)
        said = predict(model, parts[2].images) * spread + middle
        return parts[2], (said - test).abs().mean(1).numpy(), (middle - test).abs().mean(1).numpy()
    fit(model, nn.BCEWithLogitsLoss(), (parts[0].images, train), (parts[1].images, held), epochs)
    right = ((predict(model, parts[2].images) > 0) == (test > 0.5)).float().mean(1)
    guessed = ((middle > 0.5).float() == test).float().mean(1)
    return parts[2], right.numpy(), guessed.numpy()


def split_choices(value: Any) -> list[str]:
    return value.split("|") if isinstance(value, str) else []


def encoded(values: Sequence[Any], kind: str, names: Sequence[str]) -> Tensor:
    if kind == RATING:
        return torch.tensor(values, dtype=torch.float32).reshape(-1, 1)
    return torch.tensor([[float(name in split_choices(value)) for name in names] for value in values])


# --- Groups ----------------------------------------------------------------------------------------------------------


def read_groups(path: Path, rows: Rows) -> dict[str, list[str | None]]:
    """Groups of your own: one column per attribute, in the order of the rows."""
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    by = next((name for name in ("row_id", "subject") if lines and name in lines[0]), None)
    if by is None:
        sys.exit(f"{path} needs a column row_id or subject, and a line for each.")
    said = {line[by]: line for line in lines}
    attributes = [name for name in lines[0] if name != by]
    return {name: [said.get(row, {}).get(name) or None for row in rows.columns[by]] for name in attributes}


def by_group(rows: Rows, values: np.ndarray, attributes: Sequence[str], fewest: int) -> Iterator[dict[str, Any]]:
    """The mean of each group of at least `fewest` rows, where there are two such groups to compare."""
    for attribute in attributes:
        answers = rows.columns[attribute]
        large = sorted(name for name, n in Counter(filter(None, answers)).items() if n >= fewest)
        for name in large if len(large) > 1 else ():
            mine = np.array([answer == name for answer in answers])
            yield {"attribute": attribute, "group": name, "rows": int(mine.sum()), "value": float(values[mine].mean())}


# --- The command -----------------------------------------------------------------------------------------------------


def main() -> None:
    arguments = parse()
    copy = arguments.copy or pull(arguments.dataset, arguments.folder, arguments.server, arguments.token, arguments.key)
    torch.manual_seed(arguments.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rows, labels = read(copy), targets(copy)
    own = read_groups(arguments.groups, rows) if arguments.groups else {}
    rows.columns |= own
    told = [*own, *(name for name, kind in labels.items() if kind == CHOICES), "basis kind", "basis territory"]
    sums = (copy / "SHA256SUMS").read_bytes()
    results = []
    print(f"{copy.parent.name} {copy.name}: {len(rows)} rows, on {device}")
    for column, kind in labels.items():
        try:
            test, good, guessed = learn(rows, column, kind, device, arguments.epochs)
        except LookupError as trouble:
            print(f"\n{trouble.args[0]}: left out")
            continue
        result = {
            "label": column.removeprefix("label_"),
            "metric": "mean error in stars" if kind == RATING else "share of choices right",
            "rows": len(test),
            "value": float(good.mean()),
            "guessing": float(guessed.mean()),
            "groups": list(by_group(test, good, [name for name in told if name != column], arguments.fewest)),
        }
        show(result)
        results.append(result)
    about = {"dataset": copy.parent.name, "version": copy.name, "sums_sha256": sha256(sums).hexdigest()}
    Path(arguments.out).write_text(json.dumps({**about, "results": results}, indent=2) + "\n")


def show(result: dict[str, Any]) -> None:
    print(f"\n{result['label']}: {result['metric']}, {result['rows']} test rows")
    lines = [("model", result["value"]), ("always guessing the same", result["guessing"])]
    lines += [(f"{one['attribute']} {one['group']} ({one['rows']} rows)", one["value"]) for one in result["groups"]]
    for words, value in lines:
        print(f"  {words:48}{value:8.3f}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", nargs="?", metavar="DATASET[@VERSION]")
    parser.add_argument("folder", nargs="?", metavar="DIR", type=Path)
    parser.add_argument("--server", metavar="URL")
    parser.add_argument("--token", default=os.environ.get("LIKENESS_TOKEN"), help="or the variable LIKENESS_TOKEN")
    parser.add_argument("--key", type=Path, metavar="PEM", help="the server's public key, got by a way you trust")
    parser.add_argument("--copy", type=Path, metavar="FOLDER", help="a version that was pulled already")
    parser.add_argument("--groups", type=Path, metavar="CSV")
    parser.add_argument("--fewest", type=int, default=20, help="rows that a group must have (20)")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="metrics.json", metavar="FILE")
    arguments = parser.parse_args()
    if not arguments.copy and not (arguments.dataset and arguments.folder and arguments.server and arguments.token):
        parser.error("name DATASET and DIR, --server and --token (or LIKENESS_TOKEN), or a pulled version with --copy")
    return arguments


if __name__ == "__main__":
    main()
