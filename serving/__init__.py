"""The model server: one program for pods, functions, containers and the local stack."""
