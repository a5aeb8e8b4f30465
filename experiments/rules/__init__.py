"""Rules of running experiments as the database has them: one reader, for serving and explaining."""
