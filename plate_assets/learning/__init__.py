"""Learning: what every trained model of the platform shares. It knows no plate, no storage back-end and no science."""
