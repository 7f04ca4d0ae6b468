"""One function a command: train, pre-train, re-train and update, each from stages."""
