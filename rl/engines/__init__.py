"""Who answers a request: one protocol, one engine a file."""
