"""Storage: tables, arrays and models on a local disk or an object store. It knows no science and no Dagster."""
