"""The documentation. Pages that say what the code says are written from the code (`make docs`), the pictures by `make pictures`."""
