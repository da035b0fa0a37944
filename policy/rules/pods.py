"""What pods may do: those of Deployments, StatefulSets, DaemonSets and Jobs, and pods by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from policy.references import cis_eks, eu, soc2
from policy.rule import Case, Check, Finding, Reference, Resource, Rule, Severity
from policy.rules.values import as_map, is_digest, is_off, is_on, listed

TEMPLATES: Final[Mapping[str, str]] = {
    "kubernetes:core/v1:Pod": "",
    "kubernetes:core/v1:PodTemplate": "template.",
    "kubernetes:core/v1:ReplicationController": "spec.template.",
    "kubernetes:apps/v1:Deployment": "spec.template.",
    "kubernetes:apps/v1:StatefulSet": "spec.template.",
    "kubernetes:apps/v1:DaemonSet": "spec.template.",
    "kubernetes:apps/v1:ReplicaSet": "spec.template.",
    "kubernetes:batch/v1:Job": "spec.template.",
    "kubernetes:batch/v1:CronJob": "spec.jobTemplate.spec.template.",
}
"""Where each type has its pods' metadata and spec."""
_HOST: Final = ("hostNetwork", "hostPID", "hostIPC")
_SYSCTLS: Final = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
"""Those that Kubernetes' Pod Security Standards call safe: they are the pod's own."""
Properties = Mapping[str, Any]


def labels_of(workload: Resource) -> Mapping[str, str]:
    """The labels of a workload's pods."""
    return workload.value(f"{TEMPLATES[workload.type]}metadata.labels", {})


def is_selected(labels: Mapping[str, str], selector: Properties) -> bool:
    """Whether a label selector of Kubernetes selects pods with these labels; an empty one selects all."""
    wanted = cast("Mapping[str, str]", selector.get("matchLabels") or {})
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    for one in cast("Sequence[Properties]", selector.get("matchExpressions") or []):
        key, operator = one.get("key"), one.get("operator")
        values = cast("Sequence[str]", one.get("values") or [])
        there = labels.get(str(key))
        if operator == "In" and there not in values:
            return False
        if operator == "NotIn" and there in values:
            return False
        if operator == "Exists" and there is None:
            return False
        if operator == "DoesNotExist" and there is not None:
            return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container of a pod, with the settings of the pod that it takes over where it has none."""

    where: str
    spec: Properties
    pod: Properties

    def security(self, key: str) -> object:
        """A setting of its security context, the pod's where it has none of its own."""
        for context in (self.spec.get("securityContext"), self.pod.get("securityContext")):
            found = cast("Properties", context or {}).get(key)
            if found is not None:
                return found
        return None

    def at(self, *path: str) -> object:
        """A value of its own spec, None where there is none."""
        found: object = self.spec
        for key in path:
            found = as_map(found).get(key)
        return found


def pod_of(workload: Resource) -> Properties:
    """The spec of a workload's pods."""
    return workload.value(f"{TEMPLATES[workload.type]}spec", {})


def containers(workload: Resource) -> Iterator[Container]:
    """All containers of a workload's pods, those that only prepare them included."""
    pod = pod_of(workload)
    for kind in ("initContainers", "containers"):
        path = f"{TEMPLATES[workload.type]}spec.{kind}"
        for spec in cast("Sequence[Properties]", workload.items(path)):
            where = f"{workload.value('metadata.namespace', 'default')}/{workload.name}"
            yield Container(where=f"{where}, container {spec.get('name')}", spec=spec, pod=pod)


def _non_root(case: Case) -> Iterator[Finding]:
    for container in containers(case.resource):
        if not is_on(container.security("runAsNonRoot")):
            yield Finding(message=f"{container.where}: runAsNonRoot isn't set")
        elif container.security("runAsUser") == 0:
            yield Finding(message=f"{container.where}: runAsUser is 0, which is root")


def _privileges(case: Case) -> Iterator[Finding]:
    pod = pod_of(case.resource)
    for key in _HOST:
        if pod.get(key):
            yield Finding(message=f"{case.resource.id}: {key} shares the node's own with the pod")
    system = as_map(pod.get("securityContext"))
    if as_map(system.get("windowsOptions")).get("hostProcess"):
        yield Finding(message=f"{case.resource.id}: hostProcess runs on the node itself")
    unsafe = [one.get("name") for one in listed(system.get("sysctls")) if one.get("name") not in _SYSCTLS]
    if unsafe:
        yield Finding(message=f"{case.resource.id}: sets {', '.join(map(str, unsafe))} of the node's kernel")
    for volume in cast("Sequence[Properties]", pod.get("volumes") or []):
        if volume.get("hostPath"):
            yield Finding(message=f"{case.resource.id}: volume {volume.get('name')} is a path of the node")
    for container in containers(case.resource):
        context = cast("Properties", container.at("securityContext") or {})
        if context.get("privileged"):
            yield Finding(message=f"{container.where}: privileged")
        if not is_off(context.get("allowPrivilegeEscalation")):
            yield Finding(message=f"{container.where}: allowPrivilegeEscalation isn't false")
        if (context.get("procMount") or "Default") != "Default":
            yield Finding(
                message=f"{container.where}: procMount {context['procMount']} shows the node's /proc"
            )
        if as_map(context.get("windowsOptions")).get("hostProcess"):
            yield Finding(message=f"{container.where}: hostProcess runs on the node itself")
        if as_map(container.security("appArmorProfile")).get("type") == "Unconfined":
            yield Finding(message=f"{container.where}: appArmorProfile is Unconfined")
        if ports := [
            f"{p['hostPort']:g}" for p in listed(container.at("ports")) if as_map(p).get("hostPort")
        ]:
            yield Finding(message=f"{container.where}: takes the ports {', '.join(ports)} of the node")
        capabilities = cast("Properties", context.get("capabilities") or {})
        if "ALL" not in (capabilities.get("drop") or []):
            yield Finding(message=f"{container.where}: capabilities.drop doesn't have ALL")
        added = set(capabilities.get("add") or []) - {"NET_BIND_SERVICE"}
        if added:
            yield Finding(message=f"{container.where}: adds the capabilities {', '.join(sorted(added))}")


def _read_only(case: Case) -> Iterator[Finding]:
    for container in containers(case.resource):
        if not is_on(container.security("readOnlyRootFilesystem")):
            yield Finding(message=f"{container.where}: readOnlyRootFilesystem isn't true")


def _seccomp(case: Case) -> Iterator[Finding]:
    for container in containers(case.resource):
        profile = container.security("seccompProfile")
        kind = as_map(profile).get("type")
        if kind not in ("RuntimeDefault", "Localhost"):
            yield Finding(message=f"{container.where}: seccompProfile.type is {kind or 'not set'}")


def _limits(case: Case) -> Iterator[Finding]:
    for container in containers(case.resource):
        for key in ("limits.memory", "requests.cpu", "requests.memory"):
            kind, what = key.split(".")
            there = container.at("resources", kind, what) or (
                # A limit without a request is taken for the request too.
                kind == "requests" and container.at("resources", "limits", what)
            )
            # None at all is as good as no limit.
            if not there or str(there).rstrip("mKkMGTPEi") in ("0", "0.0"):
                yield Finding(message=f"{container.where}: resources.{key} isn't set")


def _digest(case: Case) -> Iterator[Finding]:
    for container in containers(case.resource):
        image = container.at("image")
        if not is_digest(image):
            yield Finding(message=f"{container.where}: the image {image} isn't named by its digest")


def _token(case: Case) -> Iterator[Finding]:
    pod = pod_of(case.resource)
    mounted = not is_off(pod.get("automountServiceAccountToken"))
    account = pod.get("serviceAccountName") or "default"
    if mounted and account == "default":
        yield Finding(message=f"{case.resource.id}: its pods get the token of the default service account")


def _rule(
    id: str,
    title: str,
    why: str,
    fix: str,
    check: Check,
    *references: Reference,
    severity: Severity = Severity.HIGH,
) -> Rule:
    return Rule(
        id=id,
        title=title,
        severity=severity,
        references=references,
        why=why,
        fix=fix,
        types=frozenset(TEMPLATES),
        check=check,
    )


RULES: Final = (
    _rule(
        "pod-non-root",
        "Containers don't run as root",
        "Who breaks out of a container that runs as root is root on the node.",
        "set securityContext: {runAsNonRoot: true, runAsUser: 10001}",
        _non_root,
        cis_eks("4.5.2"),
        soc2("CC6.1"),
    ),
    _rule(
        "pod-privileges",
        "Containers have no privileges beyond their own",
        "Each of these opens the node, and through it every other pod on it.",
        "set allowPrivilegeEscalation: false and capabilities: {drop: [ALL]}; take privileged and host* out",
        _privileges,
        *(cis_eks(f"4.2.{number}") for number in range(1, 6)),
        soc2("CC6.1"),
        severity=Severity.CRITICAL,
    ),
    _rule(
        "pod-read-only-root",
        "Containers can't write to their own file system",
        "What can't be written can't be changed by who breaks in, and a restart starts from what was built.",
        "set readOnlyRootFilesystem: true, and mount an emptyDir where the program must write",
        _read_only,
        cis_eks("4.5.2"),
        soc2("CC6.8"),
        severity=Severity.MEDIUM,
    ),
    _rule(
        "pod-seccomp",
        "Containers run with a seccomp profile",
        "The profile takes away the system calls that no server needs and that most break-outs use.",
        "set securityContext: {seccompProfile: {type: RuntimeDefault}}",
        _seccomp,
        cis_eks("4.5.2"),
        soc2("CC6.1"),
        severity=Severity.MEDIUM,
    ),
    _rule(
        "pod-limits",
        "Containers say what they need and what they may take",
        "A pod without a memory limit can take its node down, and one without requests is placed blindly.",
        "set resources.requests (cpu, memory) and resources.limits.memory",
        _limits,
        eu("Art. 15(4)"),
        soc2("A1.1"),
        severity=Severity.MEDIUM,
    ),
    _rule(
        "pod-image-digest",
        "Images of pods are named by their digest",
        "A tag can be moved: what was tested and what runs would be two things, after any restart.",
        "name the image as NAME@sha256:…, never by a tag such as latest",
        _digest,
        eu("Art. 15(5)"),
        soc2("CC8.1"),
    ),
    _rule(
        "pod-service-account",
        "Pods don't have the default service account's token",
        "A token that nobody asked for lets who breaks in talk to the cluster's API.",
        "set automountServiceAccountToken: false, or give the pods a service account of their own",
        _token,
        cis_eks("4.1.5"),
        cis_eks("4.1.6"),
        severity=Severity.MEDIUM,
    ),
)
