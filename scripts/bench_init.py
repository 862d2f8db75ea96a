"""Proof on data that nobody prepared: `raypipe init` and `raypipe run` alone, beside scikit-learn.

    python scripts/bench_init.py [NAME…]     all data sets, or those that are named

Each data set lies inside an installed package. It is written as a file, as a person would have it;
`raypipe init FILE --target COLUMN`, and then the commands that it prints are typed, which are
`raypipe data import` and `raypipe run`. What the run's review shows of the sealed analysis split is
held against the better of HistGradientBoosting and a linear model of scikit-learn, fitted to the
same train split and measured on the same analysis split. The ratio is of the task's metric; of
errors (rmse) it is the baseline's over ours.
"""

import ast
import csv
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

ENOUGH = 0.97
"""Smallest ratio of the metric."""
LIMIT = 120.0
"""Seconds that init, import and run may take together."""
TEXTS = ("numpy", "pandas", "sklearn", "torch", "scipy", "optuna", "statsmodels", "ray")
"""Packages whose docstrings are told apart."""
MOST = 400
"""Docstrings of a package that are told apart; of those whose sections are told, all."""
SECTIONS = ("Parameters", "Returns", "Raises", "Examples", "Notes", "References")
METRICS = {"binary": "auc", "multiclass": "accuracy", "multilabel": "auc", "regression": "rmse"}


@dataclass(frozen=True)
class Case:
    """A data set as a person has it."""

    name: str
    write: Callable[[Path], str]
    """Writes it into a folder and returns the file's name."""
    target: str
    reads: str = "table"


# --- the data -------------------------------------------------------------------------------------


def toy(name: str) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        import sklearn.datasets

        frame = getattr(sklearn.datasets, f"load_{name}")(as_frame=True).frame
        frame.to_csv(folder / f"{name}.csv", index=False)
        return f"{name}.csv"

    return write


def penguins(folder: Path) -> str:
    import palmerpenguins

    palmerpenguins.load_penguins().to_csv(folder / "penguins.csv", index=False)
    return "penguins.csv"


def digit_images(folder: Path) -> str:
    import sklearn.datasets
    from PIL import Image

    digits = sklearn.datasets.load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        place = folder / "pictures" / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 255 / 16).astype(np.uint8)).save(place / f"{number:04d}.png")
    return "pictures"


def docstrings(folder: Path) -> str:
    rows = [
        {"text": without_names(text), "package": package}
        for package in TEXTS
        for text in of_package(package)
    ]
    return lines(folder / "docs.jsonl", rows)


def sections(folder: Path) -> str:
    """The summary of a docstring, with the sections that follow it."""
    rows = []
    for text in (text for package in TEXTS for text in of_package(package, 10_000)):
        found = [one for one in SECTIONS if re.search(rf"^\s*{one}\s*\n\s*-{{4,}}", text, re.M)]
        summary = re.split(r"\n\s*\w+\s*\n\s*-{4,}", text)[0][:600]
        rows.append({"summary": summary, "sections": found})
    return lines(folder / "sections.jsonl", [row for row in rows if row["sections"]])


def of_package(package: str, most: int = MOST) -> list[str]:
    """Return docstrings of a package's functions and classes, each once, spread over its files."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        sys.exit(f"the package {package} is not installed")
    found: dict[str, None] = {}
    files = sorted(Path(spec.origin).parent.rglob("*.py"))
    files = [file for file in files if "test" not in str(file)][:1500]
    for file in files[:: max(1, len(files) // 300)]:
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                text = ast.get_docstring(node) or ""
                if len(text) >= 120:
                    found.setdefault(text)
    texts = list(found)
    return texts[:: max(1, len(texts) // most)][:most]


def without_names(text: str) -> str:
    """Take out the packages' own names, which would make it too easy."""
    names = "|".join((*TEXTS, "scikit-learn", "np", "pd", "sm"))
    return re.sub(names, "it", text, flags=re.IGNORECASE)[:1500]


def lines(file: Path, rows: Sequence[dict]) -> str:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file.name


CASES = (
    Case("breast_cancer", toy("breast_cancer"), "target"),
    Case("wine", toy("wine"), "target"),
    Case("diabetes", toy("diabetes"), "target"),
    Case("digits", toy("digits"), "target"),
    Case("penguins", penguins, "species"),
    Case("pictures", digit_images, "label", "image"),
    Case("docs", docstrings, "package", "text"),
    Case("sections", sections, "sections", "text"),
)


# --- raypipe --------------------------------------------------------------------------------------


def ours(case: Case, file: str, folder: Path) -> tuple[str, float, float]:
    """Return task, metric and seconds of what a person types."""
    begun = time.monotonic()
    said = raypipe(folder, "init", file, "--target", case.target)["init"]
    for command in said["next"]:
        last = raypipe(folder, *shlex.split(command)[1:])
    spent = time.monotonic() - begun
    shown = raypipe(folder, "review", "show", last["reviews"][0]["id"])["review"]["shown"]
    return said["task"], float(shown["metrics"][METRICS[said["task"]]].split()[0]), spent


def raypipe(folder: Path, *arguments: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", "raypipe", *arguments, "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "RAYPIPE_HOME": str(folder / "home")},
    )
    if done.returncode:
        said = f"raypipe {shlex.join(arguments)} ended with {done.returncode}"
        sys.exit(f"{said}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


# --- scikit-learn ---------------------------------------------------------------------------------


def theirs(case: Case, file: str, folder: Path, task: str) -> dict[str, float]:
    """Return the metric of each baseline, fitted and measured on the splits that raypipe made."""
    from raypipe.app.init_reading import look_at
    from raypipe.config.importing import ImportConfig
    from raypipe.config.load import load
    from raypipe.values.split import split_of

    table = look_at([str(folder / file)], ImportConfig()).table
    config = load(folder / f"{Path(file).stem}.yaml")
    splits = split_of(table, config.data.split)
    train, analysis = splits == 0, splits == 2
    features, label = features_of(case, table, train), label_of(case, table, task)
    found = {}
    for name, model in models(task, case.reads).items():
        model.fit(features[train], label[train])
        found[name] = measured(task, model, features[analysis], label[analysis])
    return found


def label_of(case: Case, table: pa.Table, task: str) -> np.ndarray:
    values = table[case.target].to_pylist()
    if task == "multilabel":
        from sklearn.preprocessing import MultiLabelBinarizer

        return MultiLabelBinarizer().fit_transform(values)
    return np.array(values)


def features_of(case: Case, table: pa.Table, train: np.ndarray) -> np.ndarray:
    if case.reads == "image":
        import io

        from PIL import Image

        opened = (Image.open(io.BytesIO(one)) for one in table["image"].to_pylist())
        return np.array([np.asarray(image).ravel() for image in opened])
    if case.reads == "text":
        from sklearn.feature_extraction.text import TfidfVectorizer

        column = next(n for n in table.column_names if n != case.target)
        texts = np.array(table[column].to_pylist(), dtype=object)
        words = TfidfVectorizer(min_df=2, sublinear_tf=True).fit(texts[train])
        return words.transform(texts).tocsr()
    frame = table.drop([case.target]).to_pandas()
    return pd.get_dummies(frame, dtype=float).to_numpy(float)


def models(task: str, reads: str) -> dict:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if task == "regression":
        linear = RidgeCV(np.logspace(-2, 3, 12))
        trees = HistGradientBoostingRegressor(random_state=0)
    else:
        linear = LogisticRegression(max_iter=3000)
        trees = HistGradientBoostingClassifier(random_state=0)
    if task == "multilabel":
        linear, trees = OneVsRestClassifier(linear), OneVsRestClassifier(trees)
    if reads == "text":
        if task != "multilabel":
            linear = LogisticRegression(max_iter=3000, C=10)
        return {"linear": linear, "trees": make_pipeline(TruncatedSVD(50, random_state=0), trees)}
    prepared = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), linear)
    return {"linear": prepared, "trees": trees}


def measured(task: str, model: object, features: np.ndarray, label: np.ndarray) -> float:
    from sklearn.metrics import accuracy_score, roc_auc_score, root_mean_squared_error

    if task == "regression":
        return root_mean_squared_error(label, model.predict(features))
    if task == "multiclass":
        return accuracy_score(label, model.predict(features))
    told = model.predict_proba(features)
    if task == "binary":
        return roc_auc_score(label, told[:, 1])
    return roc_auc_score(label, told, average="macro")


# --- the table ------------------------------------------------------------------------------------


def main(names: Sequence[str]) -> int:
    unknown = set(names) - {case.name for case in CASES}
    if unknown:
        sys.exit(f"no data set {sorted(unknown)}; there are {', '.join(c.name for c in CASES)}")
    print("| data | rows | task | metric | raypipe | linear | trees | ratio | s | verdict |")
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    missed = 0
    for case in CASES:
        if names and case.name not in names:
            continue
        with tempfile.TemporaryDirectory(prefix="raypipe-init-") as held:
            folder = Path(held)
            file = case.write(folder)
            task, value, spent = ours(case, file, folder)
            base = theirs(case, file, folder, task)
            rows = count(folder / file)
        error = task == "regression"
        ratio = min(base.values()) / value if error else value / max(base.values())
        holds = ratio >= ENOUGH and spent <= LIMIT
        missed += not holds
        print(
            f"| {case.name} | {rows:,} | {task} | {METRICS[task]} | {value:.4f} | "
            f"{base['linear']:.4f} | {base['trees']:.4f} | {ratio:.3f} | {spent:.0f} | "
            f"{'holds' if holds else 'MISSED'} |",
            flush=True,
        )
    return int(missed > 0)


def count(file: Path) -> int:
    if file.is_dir():
        return sum(1 for one in file.rglob("*.png"))
    with file.open(newline="") as opened:
        if file.suffix == ".csv":
            return sum(1 for _ in csv.reader(opened)) - 1
        return sum(1 for _ in opened)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
