"""The demonstration: the whole path on real servers, shown live and audited at the end."""
