"""Domain randomization: lights, colours, textures and distractors."""
