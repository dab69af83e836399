"""Dataset builds: plan, run, publish, requeue and replay."""
