"""Old months of events and slates as Parquet in a folder or an object store (decision 0074)."""
