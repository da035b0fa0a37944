"""`python -m pipeline`: `train` trains and registers the example model, `approve` records a decision on a
version, `reference` gives any registered model a drift reference.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from pipeline import approving, referencing, training
from pipeline import data as datasets
from pipeline import quiet as quiet
from pipeline.access import RegistryError, default_tracking_uri
from pipeline.card import card
from pipeline.provenance import commit, source, training_digest
from pipeline.registering import Facts, Registered, Registry
from pipeline.table import DataError
from serving.artifact import ArtifactError

ROOT = Path(__file__).resolve().parent.parent
MODEL = "tumour"
COMMAND = "python -m pipeline train"
RISK_CLASSES = ("minimal", "limited", "high")


def main(words: list[str] | None = None) -> int:
    """Run the command line; returns the exit code. A user's mistake is one line on stderr, and 1."""
    parser = argparse.ArgumentParser(prog="python -m pipeline", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help=f"train two versions of the model {MODEL} and register them")
    train.add_argument(
        "--artifacts", type=Path, help="folder for artifacts; default: beside a local database"
    )
    train.add_argument("--owner", help="who answers for the model")
    train.add_argument("--risk-class", choices=RISK_CLASSES, help="its class under the EU AI Act")
    decide = commands.add_parser("approve", help="record a person's decision on a version")
    decide.add_argument("model")
    decide.add_argument("version", type=int)
    decide.add_argument("--by", required=True, metavar="NAME", help="the person who decides")
    decide.add_argument(
        "--evaluation",
        choices=get_args(approving.Verdict),
        help="what its evaluation came to, if it is new; `rejected` takes an approval back",
    )
    decide.add_argument("--note", default="", help="why, with --evaluation")
    refer = commands.add_parser(
        "reference", help="register a new version of any model: the same with a drift reference"
    )
    refer.add_argument("model")
    refer.add_argument("version", type=int)
    refer.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="FILE",
        help="the training data, .csv or .parquet: the columns that the model takes, a row each",
    )
    refer.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="COLUMN",
        help="a column of the file that the model doesn't take, such as the label; may be repeated",
    )
    for command in (train, decide, refer):
        command.add_argument(
            "--tracking-uri",
            default=default_tracking_uri(),
            help="MLflow's tracking URI; default: MLFLOW_TRACKING_URI, else the local stack's registry",
        )
    arguments = parser.parse_args(words)
    try:
        if arguments.command == "approve":
            _approve(arguments)
        elif arguments.command == "reference":
            _refer(arguments)
        else:
            train_all(arguments.tracking_uri, arguments.artifacts, arguments.owner, arguments.risk_class)
    except (RegistryError, ArtifactError, DataError, training.TrainingError) as error:
        return _failed(str(error))
    except KeyboardInterrupt:
        return _failed("interrupted; the next run continues")
    except Exception as error:
        if not _is_of_the_registry(error):
            raise
        reason = str(error).strip().splitlines()[0]
        return _failed(f"the registry at {arguments.tracking_uri} failed: {reason}")
    return 0


def _approve(arguments: argparse.Namespace) -> None:
    with Registry.open(arguments.tracking_uri) as registry:
        decided = approving.approve(
            registry.client,
            arguments.model,
            arguments.version,
            by=arguments.by,
            evaluation=arguments.evaluation,
            note=arguments.note,
        )
    print(f"{arguments.model} version {arguments.version}, as the registry has it now:")
    for key, value in sorted(decided.items()):
        print(f"  {key:<16} {value}")


def _refer(arguments: argparse.Namespace) -> None:
    model, version = arguments.model, arguments.version
    with Registry.open(arguments.tracking_uri) as registry:
        made = referencing.refer(registry, model, version, arguments.data, arguments.without)
    if made.state == "found":
        print(f"{model} version {made.version} has this drift reference already; nothing was registered")
        return
    print(f"{model} version {made.version}: registered, {made.digest[:19]}")
    print(f"  It is version {version} with a drift reference; version {version} stays as it is.")
    print(f"  To serve it, name version {made.version} in the environment's file.")
    print("  An approval is of one artifact, so it needs its own: python -m pipeline approve.")


def train_all(
    tracking_uri: str, artifacts: Path | None, owner: str | None, risk_class: str | None = None
) -> list[Registered]:
    """Train and register every version that isn't in the registry yet.

    One that is, but without an owner or a risk class, gets those that are given.
    """
    with step("reading the data"):
        data = datasets.load()
    here = commit(ROOT)
    registered: list[Registered] = []
    with opened(tracking_uri, artifacts) as registry:
        for recipe in training.RECIPES:
            sources = [Path(datasets.__file__), Path(training.__file__)]
            digest = training_digest(recipe.name, data.digest, sources)
            facts = Facts(
                training_digest=digest,
                data_name=data.name,
                data_digest=data.digest,
                data_source=data.source,
                git_commit=here.commit,
                git_dirty=here.dirty,
                code=source(here.repository, Path(training.__file__).relative_to(ROOT), COMMAND),
                owner=owner,
                risk_class=risk_class,
            )
            with step(f"looking for {MODEL} by {recipe.name}"):
                found = registry.find(MODEL, digest, facts.claims())
            registered.append(found or _train_one(registry, recipe, data, facts))
            _tell(registered[-1])
    return registered


def _train_one(
    registry: Registry,
    recipe: training.Recipe,
    data: datasets.Dataset,
    facts: Facts,
) -> Registered:
    with step(f"training {recipe.name} on {len(data.train_y)} rows, judging it by {len(data.test_y)}"):
        trained = training.train(recipe, data)
    print("    " + ", ".join(f"{name} {value:.4f}" for name, value in trained.metrics.items()))
    with tempfile.TemporaryDirectory(prefix="train-") as temporary:
        folder = Path(temporary) / "model"
        with step("writing the model folder"):
            import pandas

            from pipeline import model_folder, reference

            model_folder.save(
                trained.model,
                recipe.flavour,
                folder,
                features=data.features,
                example=data.test_x[:2],
            )
            reference.write(folder, pandas.DataFrame(data.train_x, columns=list(data.features)))
        measured = replace(
            facts,
            parameters={"recipe": recipe.name, **recipe.parameters},
            metrics=trained.metrics,
            card=card(MODEL, trained, data),
        )
        with step("registering"):
            return registry.register(folder, MODEL, measured)


@contextmanager
def opened(tracking_uri: str, artifacts: Path | None) -> Generator[Registry]:
    """Open the registry, with a line of progress: the first time takes seconds, for its tables are made."""
    with ExitStack() as stack:
        with step("opening the registry"):
            registry = stack.enter_context(Registry.open(tracking_uri, artifacts))
        yield registry


@contextmanager
def step(what: str) -> Generator[None]:
    """Print what is being done, and when it is done the seconds it took."""
    print(f"  {what} …", end="", flush=True)
    start = time.monotonic()
    try:
        yield
    except BaseException:
        print()
        raise
    print(f" {time.monotonic() - start:.1f} s", flush=True)


def _tell(registered: Registered) -> None:
    states = {"new": "registered", "found": "already registered", "completed": "registration completed"}
    version = f"{registered.name} version {registered.version}"
    print(f"{version}: {states[registered.state]}, {registered.digest[:19]}")


def _failed(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 1


def _is_of_the_registry(error: Any) -> bool:
    """Say whether an error is MLflow's, its database's or the system's, not a mistake of this program."""
    origin = type(error).__module__.partition(".")[0]
    return isinstance(error, OSError) or origin in {"mlflow", "sqlalchemy", "sqlite3", "requests", "urllib3"}


if __name__ == "__main__":
    sys.exit(main())
