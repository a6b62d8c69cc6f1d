"""Anchors: heads of the journal's chain, sent to places that the box's owner cannot rewrite."""
