"""One stack in which every rule holds, as people write such resources without our components."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from policy.rule import Resource
from policy.settings import Settings
from policy.testkit import resource
from tests.policy.declared import FACTS

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SETTINGS = Settings(required_tags=("team",), max_gpus=8, monthly_cost=50_000)
DIGEST = f"sha256:{'a' * 64}"
IMAGE = f"registry.example.com/serving@{DIGEST}"
KEY = "arn:aws:kms:eu-central-1:123456789012:key/1"
TAGS = {"team": "risk"}
LABELS = {"app": "fraud", "model-delivery/model": "fraud"}


def release(model: str, version: int, **facts: Any) -> Resource:
    values = {**FACTS, "riskClass": "high", **facts}
    return resource(
        "delivery:registry:Release",
        f"{model}-v{version}",
        model=model,
        version=version,
        registry="https://mlflow.example.com",
        **values,
    )


def rollout(model: str, runtime: str, **more: Any) -> Resource:
    return resource(
        "delivery:registry:Step",
        model,
        **{
            "model": model,
            "runtime": runtime,
            "owner": "risk-team",
            "riskClass": "high",
            "minReplicas": 2,
            "drift": True,
            "requestLog": {"retentionDays": 365},
            "stable": {"version": 3},
            "canary": {"version": 4, "weight": 20, "shadow": False},
            "since": "2026-11-24T11:59:00Z",
            "was": {"stable": {"version": 3}, "since": "2026-11-20T10:00:00Z"},
            "served": [3],
            **more,
        },
    )


def allow(*actions: str, **more: Any) -> str:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": ["arn:aws:s3:::models/*"], **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def trust(**principal: Any) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": ["sts:AssumeRole"]}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


POD: dict[str, Any] = {
    "metadata": {"labels": LABELS},
    "spec": {
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "containers": [
            {
                "name": "server",
                "image": IMAGE,
                "ports": [{"containerPort": 8080}],
                "resources": {
                    "requests": {"cpu": "1", "memory": "2Gi"},
                    "limits": {"memory": "2Gi", "nvidia.com/gpu": "1"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    },
}


def kubernetes(kind: str, name: str, **more: Any) -> Resource:
    return resource(f"kubernetes:{kind}", name, metadata={"name": name, "namespace": "models"}, **more)


MODELS = (
    *(release("fraud", version) for version in (3, 4)),
    *(release("score", version) for version in (3, 4)),
    rollout("fraud", "kubernetes"),
    rollout("score", "lambda"),
    rollout("tiny", "local"),
    resource(
        "delivery:local:Route",
        "tiny",
        model="tiny",
        backends=[
            {"version": 3, "weight": 80, "shadow": False, "addresses": ["127.0.0.1:1"]},
            {"version": 4, "weight": 20, "shadow": False, "addresses": ["127.0.0.1:2"]},
        ],
    ),
)
CLUSTER = (
    kubernetes("apps/v1:Deployment", "fraud", spec={"template": POD}),
    kubernetes("batch/v1:CronJob", "report", spec={"jobTemplate": {"spec": {"template": POD}}}),
    kubernetes("core/v1:Pod", "debug", spec=POD["spec"]),
    kubernetes(
        "autoscaling/v2:HorizontalPodAutoscaler",
        "fraud",
        spec={"scaleTargetRef": {"kind": "Deployment", "name": "fraud"}, "minReplicas": 2, "maxReplicas": 4},
    ),
    kubernetes(
        "policy/v1:PodDisruptionBudget",
        "fraud",
        spec={"maxUnavailable": 1, "selector": {"matchLabels": {"app": "fraud"}}},
    ),
    kubernetes(
        "networking.k8s.io/v1:NetworkPolicy",
        "all",
        spec={
            "podSelector": {},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "gateway"}}}]}],
        },
    ),
    kubernetes(
        "monitoring.coreos.com/v1:PrometheusRule",
        "models",
        spec={"groups": [{"name": "models", "rules": [{"alert": "ModelErrors", "expr": "up == 0"}]}]},
    ),
    resource(
        "kubernetes:helm.sh/v3:Release",
        "monitoring",
        chart="kube-prometheus-stack",
        values={
            "alertmanager": {
                "config": {
                    "receivers": [
                        {"name": "null"},
                        {"name": "platform", "webhook_configs": [{"url_file": "/etc/webhook/url"}]},
                    ]
                }
            }
        },
    ),
    kubernetes(
        "rbac.authorization.k8s.io/v1:Role",
        "capacity",
        rules=[{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}],
    ),
    kubernetes(
        "storage.k8s.io/v1:StorageClass",
        "gp3",
        provisioner="ebs.csi.aws.com",
        parameters={"type": "gp3", "encrypted": "true"},
    ),
    kubernetes(
        "gateway.envoyproxy.io/v1alpha1:EnvoyProxy",
        "proxy",
        spec={"provider": {"kubernetes": {"envoyService": {"type": "LoadBalancer"}}}},
    ),
    kubernetes(
        "gateway.envoyproxy.io/v1alpha1:SecurityPolicy",
        "callers",
        spec={
            "targetRefs": [{"kind": "Gateway", "name": "gateway"}],
            "jwt": {"providers": [{"name": "issuer"}]},
        },
    ),
    kubernetes(
        "gateway.networking.k8s.io/v1:HTTPRoute",
        "fraud",
        spec={"parentRefs": [{"name": "gateway", "namespace": "models"}]},
    ),
)
AWS = (
    resource("aws:s3/bucket:Bucket", "models", bucket="models", tags=TAGS, protect=True),
    resource(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "models",
        bucket="models",
        rules=[{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": KEY}}],
    ),
    resource(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "models",
        bucket="models",
        blockPublicAcls=True,
        blockPublicPolicy=True,
        ignorePublicAcls=True,
        restrictPublicBuckets=True,
    ),
    resource(
        "aws:s3/bucketVersioning:BucketVersioning",
        "models",
        bucket="models",
        versioningConfiguration={"status": "Enabled"},
    ),
    resource(
        "aws:s3/bucketPolicy:BucketPolicy",
        "models",
        bucket="models",
        policy=allow(
            "s3:GetObject", Principal="*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}
        ),
    ),
    resource(
        "aws:rds/instance:Instance",
        "mlflow",
        protect=True,
        storageEncrypted=True,
        kmsKeyId=KEY,
        publiclyAccessible=False,
        deletionProtection=True,
        skipFinalSnapshot=False,
        tags=TAGS,
    ),
    resource(
        "aws:kms/key:Key",
        "data",
        protect=True,
        enableKeyRotation=True,
        deletionWindowInDays=30,
        policy=trust(AWS="arn:aws:iam::123456789012:root"),
        tags=TAGS,
    ),
    resource("aws:ebs/volume:Volume", "scratch", encrypted=True),
    resource("aws:efs/fileSystem:FileSystem", "cache", encrypted=True, protect=True),
    resource("aws:dynamodb/table:Table", "sessions", deletionProtectionEnabled=True, protect=True, tags=TAGS),
    resource(
        "aws:cloudwatch/logGroup:LogGroup",
        "pods",
        name="/prod/pods",
        retentionInDays=365,
        kmsKeyId=KEY,
        tags=TAGS,
    ),
    resource("aws:cloudwatch/logGroup:LogGroup", "fraud", retentionInDays=365, kmsKeyId=KEY, tags=TAGS),
    resource("aws:secretsmanager/secret:Secret", "mlflow", kmsKeyId=KEY, protect=True, tags=TAGS),
    resource(
        "aws:sagemaker/endpointConfiguration:EndpointConfiguration",
        "batch",
        kmsKeyArn=KEY,
        dataCaptureConfig={"enableCapture": True, "kmsKeyId": KEY},
        productionVariants=[
            {"variantName": "stable", "instanceType": "ml.g5.xlarge", "initialInstanceCount": 1}
        ],
    ),
    resource(
        "aws:appautoscaling/target:Target",
        "batch",
        resourceId="endpoint/batch/variant/stable",
        maxCapacity=2,
    ),
    resource("aws:sagemaker/model:Model", "batch", primaryContainer={"image": IMAGE}, tags=TAGS),
    resource(
        "aws:eks/cluster:Cluster",
        "cluster",
        protect=True,
        deletionProtection=True,
        vpcConfig={"endpointPrivateAccess": True, "endpointPublicAccess": False},
        encryptionConfig={"resources": ["secrets"], "provider": {"keyArn": KEY}},
        enabledClusterLogTypes=["api", "audit", "authenticator", "controllerManager", "scheduler"],
        tags=TAGS,
    ),
    resource(
        "aws:eks/nodeGroup:NodeGroup",
        "gpu",
        instanceTypes=["g6.xlarge", "g6.2xlarge"],
        scalingConfig={"minSize": 0, "maxSize": 4},
        tags=TAGS,
    ),
    resource(
        "aws:ec2/launchTemplate:LaunchTemplate",
        "gpu",
        metadataOptions={"httpTokens": "required"},
        blockDeviceMappings=[{"deviceName": "/dev/xvda", "ebs": {"encrypted": "true"}}],
        tags=TAGS,
    ),
    resource(
        "aws:ecr/repository:Repository",
        "serving",
        protect=True,
        imageTagMutability="IMMUTABLE",
        imageScanningConfiguration={"scanOnPush": True},
        encryptionConfigurations=[{"encryptionType": "KMS", "kmsKey": KEY}],
        forceDelete=False,
        tags=TAGS,
    ),
    resource(
        "aws:iam/role:Role",
        "serving",
        assumeRolePolicy=trust(Service="pods.eks.amazonaws.com"),
        inlinePolicies=[{"name": "read", "policy": allow("s3:GetObject")}],
    ),
    resource("aws:iam/policy:Policy", "read", policy=allow("s3:GetObject", "s3:ListBucket")),
    resource(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "serving",
        policyArn="arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy",
    ),
    resource(
        "aws:ec2/securityGroup:SecurityGroup",
        "web",
        ingress=[{"fromPort": 443, "toPort": 443, "cidrBlocks": ["0.0.0.0/0"]}],
    ),
    resource("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", "default", vpcId="vpc-1"),
    resource(
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        "database",
        fromPort=5432,
        toPort=5432,
        cidrIpv4="10.0.0.0/16",
    ),
    resource(
        "aws:ec2/securityGroupRule:SecurityGroupRule",
        "out",
        type="egress",
        fromPort=0,
        toPort=0,
        cidrBlocks=["0.0.0.0/0"],
    ),
    resource("aws:lambda/function:Function", "score", imageUri=IMAGE, tags=TAGS),
    resource("aws:lambda/functionUrl:FunctionUrl", "score", authorizationType="AWS_IAM"),
    resource("aws:lambda/permission:Permission", "score", principal="elasticloadbalancing.amazonaws.com"),
    resource("aws:apigatewayv2/route:Route", "score", authorizationType="JWT"),
    resource(
        "aws:apigateway/method:Method", "score", authorization="NONE", apiKeyRequired=True, httpMethod="POST"
    ),
    resource("aws:apigateway/method:Method", "options", authorization="NONE", httpMethod="OPTIONS"),
    resource("aws:lb/loadBalancer:LoadBalancer", "lambda", internal=True, tags=TAGS),
    resource(
        "aws:lb/listener:Listener",
        "lambda",
        protocol="HTTPS",
        defaultActions=[{"type": "fixed-response"}],
    ),
    resource("aws:lb/listener:Listener", "plain", protocol="HTTP", defaultActions=[{"type": "redirect"}]),
    resource(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        "score",
        alarmActions=["arn:aws:sns:eu-central-1:123456789012:on-call"],
        dimensions={"FunctionName": "prod-score-v3"},
    ),
)
GCP = (
    resource(
        "gcp:container/cluster:Cluster",
        "gke",
        protect=True,
        privateClusterConfig={"enablePrivateNodes": True, "enablePrivateEndpoint": True},
        databaseEncryption={"state": "ENCRYPTED", "keyName": "k"},
        workloadIdentityConfig={"workloadPool": "p.svc.id.goog"},
        loggingConfig={
            "enableComponents": ["SYSTEM_COMPONENTS", "APISERVER", "CONTROLLER_MANAGER", "SCHEDULER"]
        },
        resourceLabels=TAGS,
    ),
    resource(
        "gcp:container/nodePool:NodePool",
        "gpu",
        nodeConfig={
            "workloadMetadataConfig": {"mode": "GKE_METADATA"},
            "guestAccelerators": [{"type": "nvidia-l4", "count": 1}],
            "resourceLabels": TAGS,
        },
        autoscaling={"totalMaxNodeCount": 2},
    ),
    resource(
        "gcp:storage/bucket:Bucket",
        "models",
        protect=True,
        publicAccessPrevention="enforced",
        uniformBucketLevelAccess=True,
        encryption={"defaultKmsKeyName": "k"},
        versioning={"enabled": True},
        labels=TAGS,
    ),
    resource(
        "gcp:kms/cryptoKey:CryptoKey",
        "platform",
        protect=True,
        purpose="ENCRYPT_DECRYPT",
        rotationPeriod="7776000s",
        labels=TAGS,
    ),
    resource("gcp:secretmanager/secret:Secret", "password", protect=True, labels=TAGS),
    resource(
        "gcp:storage/bucketIAMPolicy:BucketIAMPolicy",
        "models",
        policyData=json.dumps(
            {"bindings": [{"role": "roles/storage.objectViewer", "members": ["group:ml@example.com"]}]}
        ),
    ),
    resource("gcp:storage/bucketACL:BucketACL", "models", roleEntities=["OWNER:project-owners-1"]),
    resource("gcp:storage/objectAccessControl:ObjectAccessControl", "card", entity="group-ml@example.com"),
    resource("gcp:serviceaccount/key:Key", "elsewhere", publicKeyData="LS0t"),
    resource(
        "gcp:artifactregistry/repository:Repository",
        "serving",
        protect=True,
        format="DOCKER",
        kmsKeyName="k",
        dockerConfig={"immutableTags": True},
        labels=TAGS,
    ),
    resource(
        "gcp:cloudrunv2/service:Service",
        "rank",
        ingress="INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
        template={"containers": [{"image": IMAGE}]},
        labels=TAGS,
    ),
    resource(
        "gcp:cloudrunv2/serviceIamMember:ServiceIamMember",
        "rank",
        member="serviceAccount:gateway@p.iam.gserviceaccount.com",
        role="roles/run.invoker",
    ),
    resource(
        "gcp:projects/iAMBinding:IAMBinding",
        "logs",
        members=["group:ops@example.com"],
        role="roles/logging.viewer",
    ),
    resource(
        "gcp:sql/databaseInstance:DatabaseInstance",
        "mlflow",
        protect=True,
        encryptionKeyName="k",
        deletionProtection=True,
        settings={
            "ipConfiguration": {"ipv4Enabled": False, "sslMode": "ENCRYPTED_ONLY"},
            "userLabels": TAGS,
        },
    ),
    resource(
        "gcp:compute/firewall:Firewall",
        "web",
        allows=[{"protocol": "tcp", "ports": ["443"]}],
        sourceRanges=["0.0.0.0/0"],
    ),
)
STACK = resource("pulumi:pulumi:Stack", "model-delivery-test")
COMPLIANT: tuple[Resource, ...] = (*MODELS, *CLUSTER, *AWS, *GCP, STACK)
