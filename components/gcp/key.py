"""The platform's key: one KMS key for its secrets, disks, images, database and artifacts."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_gcp as gcp

from components.gcp.scope import Agent, Scope
from components.gcp.settled import settled

_USERS: Sequence[Agent] = (
    "artifactregistry",
    "cloudsql",
    "compute",
    "gke",
    "run",
    "secretmanager",
)
_ROTATION = f"{90 * 86_400}s"
_GRACE = f"{30 * 86_400}s"


class Key(pulumi.ComponentResource):
    """A KMS key, rotated every 90 days, or one that is there already; and who may use it: Google's services,
    on behalf of this project.

    A destroyed key is data lost: in protected settings it can't be removed, else it waits for 30 days. The
    provider deletes no key ring and no key, it only forgets them; a key's name is never free again.
    """

    name: pulumi.Input[str]
    """Its full name: ``projects/…/locations/…/keyRings/…/cryptoKeys/…``."""
    ready: Sequence[pulumi.Resource]
    """What lets services use it: nothing can be encrypted before that."""

    def __init__(
        self,
        name: str,
        scope: Scope,
        storage_agent: pulumi.Input[str],
        existing: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """``storage_agent``: the IAM member that Cloud Storage acts as."""
        super().__init__("delivery:gcp:Key", name, None, opts)
        self.name = existing or self._made(name, scope)
        users: dict[str, pulumi.Input[str]] = {agent: scope.agent(agent) for agent in _USERS}
        users["storage"] = storage_agent
        rights = [
            gcp.kms.CryptoKeyIAMMember(
                f"{name}-{agent}",
                crypto_key_id=self.name,
                role="roles/cloudkms.cryptoKeyEncrypterDecrypter",
                member=member,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for agent, member in users.items()
        ]
        # What is encrypted before they are in effect is refused ("Permission denied on Cloud KMS key").
        self.ready = settled(f"{name}-rights", scope, rights, self.name, pulumi.ResourceOptions(parent=self))
        self.register_outputs({"name": self.name})

    def _made(self, name: str, scope: Scope) -> pulumi.Output[str]:
        ring = gcp.kms.KeyRing(name, location=scope.region, opts=scope.data(self))
        key = gcp.kms.CryptoKey(
            name,
            key_ring=ring.id,
            purpose="ENCRYPT_DECRYPT",
            rotation_period=_ROTATION,
            destroy_scheduled_duration=_GRACE,
            opts=scope.data(self),
        )
        return key.id
