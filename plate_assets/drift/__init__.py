"""Is tonight's data still what the model knows? Tests of embeddings against a reference, in a batch and one after another."""
