"""Evaluation of models on datasets: protocols, runs, results, sweeps, regressions and reports."""
