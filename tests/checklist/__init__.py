"""What must hold for a path (docs/paths.md): tests of each, `test_01_...` to `test_23_...`."""
