"""Export packages (G15): clips with their manifest, chain of custody and signature, as one file to hand over."""
