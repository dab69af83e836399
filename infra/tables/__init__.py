"""The paper's tables by name: what each is made with, its steps, and the command that prints it."""
