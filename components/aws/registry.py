"""The image registry: ECR repositories for the model server's images and for MLflow's."""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws

from components.aws.iam import allow, document
from components.aws.scope import Scope
from components.environment.aws_partition import partition_of
from components.image import Destination, Login

_UNTAGGED_DAYS = 14


class Registry(pulumi.ComponentResource):
    """A repository of the model server's images, and one of MLflow's where those are built. Tags can't be
    moved; images are scanned on each push and encrypted with the platform's key.

    Only images that no tag names are ever removed by AWS, 14 days after their push. A tag can't be moved to
    another image here, so an image that was pushed with a tag keeps it, and a digest in use stays.
    """

    repository_url: pulumi.Output[str]
    """Where images are pushed: ``ACCOUNT.dkr.ecr.REGION.amazonaws.com/PREFIX/serving``."""
    repository_arn: str
    policy: pulumi.Resource
    """Without it Lambda can't pull."""

    def __init__(
        self, name: str, scope: Scope, key_arn: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("delivery:aws:Registry", name, None, opts)
        self._scope, self._key_arn = scope, key_arn
        repository_name = f"{scope.prefix}/serving"
        repository = self._repository(name, repository_name)
        # Lambda pulls by itself, not as the function's role.
        pull = allow(
            ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
            [],
            {"ArnLike": {"aws:SourceArn": scope.arn("lambda", f"function:{scope.prefix}-*")}},
            {"Service": "lambda.amazonaws.com"},
        )
        del pull["Resource"]  # a repository's policy is about the repository
        self.policy = aws.ecr.RepositoryPolicy(
            name,
            repository=repository.name,
            policy=document(pull),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.repository_url = repository.repository_url
        self.repository_arn = scope.arn("ecr", f"repository/{repository_name}")
        self.register_outputs({"repositoryUrl": self.repository_url})

    def destination(self) -> Destination:
        """Where the model server's image is pushed."""
        return self._destination(self.repository_url)

    def tracking(self) -> Destination:
        """Where MLflow's image is pushed. The repository is declared by this."""
        return self._destination(self._repository("mlflow", f"{self._scope.prefix}/mlflow").repository_url)

    def _repository(self, name: str, path: str) -> aws.ecr.Repository:
        repository = aws.ecr.Repository(
            name,
            name=path,
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "KMS", "kms_key": self._key_arn}],
            force_delete=False,
            opts=self._scope.data(self),
        )
        rule = {
            "rulePriority": 1,
            "description": "Images that no tag names",
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": _UNTAGGED_DAYS,
            },
            "action": {"type": "expire"},
        }
        aws.ecr.LifecyclePolicy(
            name,
            repository=repository.name,
            policy=json.dumps({"rules": [rule]}),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return repository

    def _destination(self, repository: pulumi.Input[str]) -> Destination:
        """A repository, with a login that is good for 12 hours, a new one at each run."""
        account, region = self._scope.account, self._scope.region
        token = aws.ecr.get_authorization_token_output(
            registry_id=account, opts=pulumi.InvokeOutputOptions(parent=self)
        )
        return Destination(
            repository=repository,
            login=Login(
                address=f"{account}.dkr.ecr.{region}.{self._scope.partition.dns_suffix}",
                username=token.user_name,
                password=token.password,
            ),
        )


def repository_arn(image: str) -> str:
    """The ARN of the ECR repository that an image is in."""
    host, _, path = image.partition("@")[0].partition("/")
    account, _, _, region, *_ = host.split(".")
    return f"arn:{partition_of(region).name}:ecr:{region}:{account}:repository/{path.partition(':')[0]}"
