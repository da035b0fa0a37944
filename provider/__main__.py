"""Serve the provider: ``python -m provider [ENGINE_ADDRESS]``, started by the Pulumi engine."""

import sys

from provider.guard import guarded
from provider.plugin import serve
from provider.process import Process
from provider.release import Release
from provider.resource import Resource
from provider.rollout import Rollout
from provider.route import Route
from provider.settled import Settled
from provider.step import Step
from provider.supervisor import Supervisor

VERSION = "0.1.0"
KINDS: dict[str, Resource] = guarded(
    {
        "delivery:registry:Release": Release(),
        "delivery:registry:Step": Step(),
        "delivery:registry:Rollout": Rollout(),
        "delivery:gcp:Settled": Settled(),
        "delivery:local:Supervisor": Supervisor(),
        "delivery:local:Process": Process(),
        "delivery:local:Route": Route(),
    }
)

if __name__ == "__main__":
    addresses = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    serve(KINDS, VERSION, addresses[0] if addresses else None)
