"""Years of a company's life on the sandbox's clock."""
