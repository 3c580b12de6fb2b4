"""What makes the sandbox's tenant as unkind as a real one (graph-contract section 20), drawn from its seed."""
