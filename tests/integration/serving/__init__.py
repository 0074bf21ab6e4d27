"""What is read from a served city: features, tiles, hexagons, exports, each as every kind of viewer gets it."""
