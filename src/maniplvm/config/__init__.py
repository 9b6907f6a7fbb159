"""Reading of configuration files: YAML into typed settings."""
