"""The AWS platform: an EKS cluster with what models need around it, and endpoints on Kubernetes, Lambda and
SageMaker."""
