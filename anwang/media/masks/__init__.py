"""Privacy masks (隐私遮挡): what they are, where they are kept, how they are drawn, and which source serves a look."""
