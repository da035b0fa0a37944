"""The GCP platform: a GKE cluster, what models need around it, endpoints on Kubernetes and Cloud Run."""
