"""A release: a model version of the registry, pinned in the stack's state."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from components.environment import Flavor, Model


class Release(pulumi.CustomResource):
    """A model version as it was when it was first declared, resolved from the registry at plan time.

    The digest stays pinned for as long as the release is declared. A version that is changed or deleted under
    it is told by every plan; servers go on with what is pinned, and load nothing else.
    The registry is only asked: nothing is created in it, nothing is removed from it.
    """

    digest: pulumi.Output[str]
    """``sha256:…`` over the artifact's files; known in a preview, except of a new release with a large
    artifact whose digest the registry has not recorded."""
    artifact: pulumi.Output[str]
    """The folder on the planning machine that holds the artifact; only of a ``local`` release."""
    source: pulumi.Output[str]
    """The artifact's URI as the registry names it, which servers elsewhere fetch it from."""
    run: pulumi.Output[str]
    """The MLflow run that trained it, empty where the registry knows none."""

    def __init__(
        self,
        name: str,
        model: Model,
        version: int,
        registry: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
        *,
        local: bool = False,
        flavors: pulumi.Input[Sequence[Flavor] | None] = None,
    ) -> None:
        """Declare version ``version`` of the registered model that ``model`` serves, looked up at the MLflow
        tracking URI ``registry``.

        ``local``: it is served from the planning machine's disk, so ``artifact`` is wanted. Elsewhere that
        would only make two machines that plan the same see a change. Elsewhere, too, the plan judges whether
        a server has the memory for it; on the planning machine servers aren't limited. ``flavors`` are those
        that the server's image has the packages of; None: all that the model server serves.
        """
        outputs = dict.fromkeys(("digest", "artifact", "source", "run"), None)
        inputs = {
            "model": model.registered_name,
            # Whose release it is, where the registered model's name doesn't say.
            "endpoint": model.name if model.registered_model else None,
            "version": version,
            "registry": registry,
            "local": local or None,
            # A check isn't told whether it is a preview's, which downloads no large artifact.
            "planning": pulumi.runtime.is_dry_run() or None,
            "memory": None if local else model.resources.mebibytes,
            "flavors": flavors,
        }
        super().__init__("delivery:registry:Release", name, {**outputs, **inputs}, opts)
