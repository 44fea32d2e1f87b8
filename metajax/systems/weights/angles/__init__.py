"""The condition ``angles``: angles by which images are turned."""
