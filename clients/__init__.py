"""How Gatehouse talks to the outside: wire in, its own types out."""
