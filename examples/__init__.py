"""Programs that show what the library does; run them from the project's folder."""
