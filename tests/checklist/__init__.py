"""What must hold for a path (docs/paths.md): a test for each point, `test_01_...` to `test_23_...`."""
