"""What agents ask and do by the Model Context Protocol, with a key of the platform."""
