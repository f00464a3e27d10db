"""What a run leaves behind: its folder, fingerprints, versions, curves and progress."""
