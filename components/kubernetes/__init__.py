"""The Kubernetes platform: models as Deployments behind a Gateway, on any cluster, a cloud's own too."""
