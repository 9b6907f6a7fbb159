"""Writers of comparison tables: Markdown, LaTeX, CSV, HTML and JSON."""
