"""Chains of certificates, good and bad, judged by the client and by `openssl verify`."""
