"""``delivery:registry:Release``: a model version, pinned to the digest that it had when it was first declared.

Inputs: ``model``, ``version``, ``registry`` (an MLflow tracking URI). The check adds, already in a preview, what the registry
says: ``digest``, ``artifact`` (its folder), ``flavor``, ``signature``, ``metrics``, ``run``, ``data`` (digest of the training
data), ``commit``. Outputs are the same.

The digest stays for as long as the release is declared: a version that was changed under it is an error. When the registry does
not answer, a release that is already pinned goes on with what is pinned; a new one can't be declared.
"""

from __future__ import annotations

from dataclasses import asdict

from provider.registry import Unreachable, resolve
from provider.resource import Checked, Context, Diff, Failure, Properties, ProviderError, changed_paths

_ASKED = ("model", "version", "registry")


class Release:
    """See the module's text for inputs and outputs."""

    def check(self, context: Context, old: Properties | None, new: Properties) -> Checked:
        asked = {key: new[key] for key in _ASKED}
        pinned = (
            old
            if old and old.get("digest") and (old["model"], old["version"]) == (new["model"], new["version"])
            else None
        )
        try:
            found = asdict(resolve(new["registry"], new["model"], int(new["version"])))
        except Unreachable as error:
            if pinned is None:
                reason = f"the registry {new['registry']} is unreachable, so {context.name} can't be resolved: {error}. Start it, or register the model first"
                return Checked(new, (Failure("", reason),))
            context.warn(
                f"the registry {new['registry']} is unreachable ({error}); {context.name} stays at its pinned {pinned['digest']}"
            )
            return Checked({**pinned, **asked})
        except ProviderError as error:
            return Checked(new, (Failure("", str(error)),))
        if pinned is not None and pinned["digest"] != found["digest"]:
            reason = (
                f"version {new['version']} of {new['model']} was changed after it was deployed: it is pinned to {pinned['digest']}, "
                f"the registry now has {found['digest']}. Register the new artifact as a new version, or restore the old one"
            )
            return Checked(new, (Failure("", reason),))
        return Checked({**asked, **found})

    def diff(self, context: Context, id: str, state: Properties, new: Properties) -> Diff:
        paths = [path for key in new for path in changed_paths(state.get(key), new[key], key)]
        return Diff({path: path in ("model", "version") for path in paths})

    def create(self, context: Context, inputs: Properties) -> tuple[str, Properties]:
        return f"{inputs['model']}/{inputs['version']}", inputs

    def read(self, context: Context, id: str, state: Properties) -> Properties | None:
        return state

    def update(self, context: Context, id: str, state: Properties, new: Properties) -> Properties:
        return new

    def delete(self, context: Context, id: str, state: Properties) -> None:
        """Nothing to do: the registry keeps its versions."""
