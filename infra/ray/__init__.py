"""The doors to Ray: a pool of workers that build, engines in actors, a session here or on a cluster, and Ray Jobs."""
