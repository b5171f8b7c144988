"""Section 9 of RFC 9000 for a client, one idea a file: states, validation, rules, the table."""
