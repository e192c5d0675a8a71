"""`make walk`: the commands of docs/operations.md, run as they stand there, on services and in folders of their own."""
