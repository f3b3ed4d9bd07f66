"""The documentation: pages that people write, pages written from the code (`make docs`), pictures (`make pictures`)."""
