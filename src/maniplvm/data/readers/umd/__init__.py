"""Reader of UMD Part Affordance."""
