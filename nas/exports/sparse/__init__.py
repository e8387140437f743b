"""Sparse weights: pruning of a trained network, and the format of compressed sparse rows."""

from nas.exports.sparse.csr_format import FORMAT

__all__ = ["FORMAT"]
