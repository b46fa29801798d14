"""The contract: what publishers may send, and what subscribers may rely on."""
