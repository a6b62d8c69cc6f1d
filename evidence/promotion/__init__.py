"""The promotion decision: from testnet to live pilot, over sessions re-derived from journals."""
