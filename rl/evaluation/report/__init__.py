"""Reports: pages with scores, tables of the paper, regression runs, and samples by kind of failure."""
