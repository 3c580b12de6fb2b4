"""A whole tenant in a box: what Entra, Graph, Key Vault and the vendors do on the wire, on loopback, never deployed."""
