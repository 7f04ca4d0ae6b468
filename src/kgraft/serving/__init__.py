"""HTTP server for a trained model: a JSON API and a web page."""
