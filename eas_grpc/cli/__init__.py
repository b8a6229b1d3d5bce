"""The command line: one module per command. Each parses, calls the library and prints.

grpc and everything else heavy is imported inside the commands that need it, so that `--help` stays fast.
"""
