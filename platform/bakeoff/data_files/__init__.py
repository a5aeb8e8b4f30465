"""Files of rows as people have them: CSV, TSV or Parquet, with columns of any name."""
