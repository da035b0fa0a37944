"""The GCP floor: a GKE cluster with what models need around it, and endpoints on Kubernetes and Cloud Run."""
