"""The rules of single sign-on: values in, decisions out. No I/O, no clock, no environment."""
