"""The state directory: identity, anchors, and the proof at boot that its parts agree."""
