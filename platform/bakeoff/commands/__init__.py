"""The subcommands of `bakeoff`, one file each."""
