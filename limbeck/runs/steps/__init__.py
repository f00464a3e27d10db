"""One module a kind of step: each turns its configuration into the artefacts of its folder."""
