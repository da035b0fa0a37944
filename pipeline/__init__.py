"""What happens to a model before it is served: training, evaluation, registration."""
