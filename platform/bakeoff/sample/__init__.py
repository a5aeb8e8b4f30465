"""The sample shop of `bakeoff up --sample`: goods, pictures and visitors, all made up."""
