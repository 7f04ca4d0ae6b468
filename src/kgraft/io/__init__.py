"""Files in and out: tables, Parquet, RDF, link files, dataset layouts, collections."""
